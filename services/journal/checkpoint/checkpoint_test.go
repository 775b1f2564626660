package checkpoint_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/choba-os/choba/services/journal/checkpoint"
)

const origin = "choba/34750f98bd59fcfc/01020304"

func seed(b byte) []byte { return bytes.Repeat([]byte{b}, checkpoint.SeedSize) }

func device(t testing.TB) *checkpoint.Signer {
	register, err := checkpoint.RegisterID(seed(1))
	require.NoError(t, err)
	s, err := checkpoint.NewSigner(checkpoint.DeviceName(register), seed(1))
	require.NoError(t, err)
	return s
}

func session(t testing.TB) *checkpoint.Signer {
	s, err := checkpoint.NewSigner(origin, seed(2))
	require.NoError(t, err)
	return s
}

func verifier(t testing.TB, s *checkpoint.Signer) note.Verifier {
	v, err := note.NewVerifier(s.Public)
	require.NoError(t, err)
	return v
}

func statement(t testing.TB) checkpoint.Session {
	return checkpoint.Session{Origin: origin, Number: 3, Boot: "6ac0ffee", Size: 5, Root: tlog.RecordHash([]byte("x")), Key: session(t).Public}
}

func signed(t testing.TB) (tree, dev, ses []byte) {
	tree, err := checkpoint.Sign(checkpoint.Tree{Origin: origin, Size: 5, Root: tlog.RecordHash([]byte("x"))}, session(t))
	require.NoError(t, err)
	dev, err = checkpoint.SignDevice(checkpoint.Device{Origin: origin, Key: device(t).Public}, device(t))
	require.NoError(t, err)
	ses, err = checkpoint.SignSession(statement(t), device(t))
	require.NoError(t, err)
	return tree, dev, ses
}

func TestGoldenBytes(t *testing.T) {
	tree, dev, ses := signed(t)
	require.Equal(t, goldenTree, string(tree))
	require.Equal(t, goldenDevice, string(dev))
	require.Equal(t, goldenSession, string(ses))
}

func TestRoundTrip(t *testing.T) {
	tree, dev, ses := signed(t)
	gotTree, err := checkpoint.Open(tree, verifier(t, session(t)))
	require.NoError(t, err)
	require.Equal(t, checkpoint.Tree{Origin: origin, Size: 5, Root: tlog.RecordHash([]byte("x"))}, gotTree)
	gotTree, err = checkpoint.Read(tree)
	require.NoError(t, err)
	require.Equal(t, uint64(5), gotTree.Size)
	gotDevice, err := checkpoint.OpenDevice(dev)
	require.NoError(t, err)
	require.Equal(t, checkpoint.Device{Origin: origin, Key: device(t).Public}, gotDevice)
	gotSession, err := checkpoint.OpenSession(ses, verifier(t, device(t)))
	require.NoError(t, err)
	require.Equal(t, statement(t), gotSession)
	again, err := checkpoint.ParseSigner(device(t).Secret())
	require.NoError(t, err)
	require.Equal(t, device(t).Public, again.Public)
}

// Every change of one byte is refused, or (in the note's base64 padding) means the very same.
func TestEveryOneByteChangeIsRefused(t *testing.T) {
	tree, dev, ses := signed(t)
	key, deviceKey := verifier(t, session(t)), verifier(t, device(t))
	for name, c := range map[string]struct {
		text []byte
		open func([]byte) error
	}{
		"checkpoint": {tree, func(b []byte) error { _, err := checkpoint.Open(b, key); return err }},
		"device":     {dev, func(b []byte) error { _, err := checkpoint.OpenDevice(b); return err }},
		"session":    {ses, func(b []byte) error { _, err := checkpoint.OpenSession(b, deviceKey); return err }},
	} {
		require.NoError(t, c.open(c.text), name)
		for i := range c.text {
			for bit := range 8 {
				text := bytes.Clone(c.text)
				text[i] ^= 1 << bit
				require.Error(t, c.open(text), "%s, byte %d, bit %d", name, i, bit)
			}
			require.Error(t, c.open(c.text[:i]), "%s cut to %d bytes", name, i)
		}
	}
}

func TestWhoMayVouchForWhom(t *testing.T) {
	other, err := checkpoint.NewSigner(checkpoint.DeviceName("ffffffffffffffff"), seed(3))
	require.NoError(t, err)
	text, err := checkpoint.SignSession(statement(t), other)
	require.NoError(t, err)
	_, err = checkpoint.OpenSession(text, verifier(t, other))
	require.ErrorContains(t, err, "does not vouch", "a device answers only for its own register's logs")

	text, err = checkpoint.SignDevice(checkpoint.Device{Origin: origin, Key: other.Public}, other)
	require.NoError(t, err)
	_, err = checkpoint.OpenDevice(text)
	require.ErrorContains(t, err, "does not answer")

	foreign := statement(t)
	foreign.Key = other.Public
	text, err = checkpoint.SignSession(foreign, device(t))
	require.NoError(t, err)
	_, err = checkpoint.OpenSession(text, verifier(t, device(t)))
	require.Error(t, err, "a session's key is named as the log")

	_, err = checkpoint.Sign(checkpoint.Tree{Origin: "other"}, session(t))
	require.Error(t, err)
}

func TestNotesOfOneKindAreNotTakenForAnother(t *testing.T) {
	tree, dev, ses := signed(t)
	d := verifier(t, device(t))
	_, err := checkpoint.OpenSession(dev, d)
	require.Error(t, err)
	_, err = checkpoint.OpenDevice(ses)
	require.Error(t, err)
	_, err = checkpoint.Open(ses, d)
	require.Error(t, err)
	_, err = checkpoint.OpenSession(tree, verifier(t, session(t)))
	require.Error(t, err)
}

func TestWitnessesMayCosign(t *testing.T) {
	tree, _, _ := signed(t)
	n, err := note.Open(tree, note.VerifierList(verifier(t, session(t))))
	require.NoError(t, err)
	witness, err := checkpoint.NewSigner("shop.example/hq", seed(4))
	require.NoError(t, err)
	both, err := note.Sign(&note.Note{Text: n.Text}, session(t), witness)
	require.NoError(t, err)
	_, err = checkpoint.Open(both, verifier(t, session(t)))
	require.NoError(t, err)
	_, err = checkpoint.Open(both, verifier(t, witness))
	require.Error(t, err, "a witness's key does not open the log")
}

func TestKeysRefused(t *testing.T) {
	_, err := checkpoint.NewSigner("x", seed(1)[1:])
	require.Error(t, err)
	_, err = checkpoint.NewSigner("a b", seed(1))
	require.Error(t, err)
	_, err = checkpoint.RegisterID(nil)
	require.Error(t, err)
	secret := device(t).Secret()
	for i := range secret {
		_, err := checkpoint.ParseSigner(secret[:i] + string(secret[i]^1) + secret[i+1:])
		require.Error(t, err, "byte %d", i)
		require.NotContains(t, err.Error(), secret[len(secret)-20:], "an error must not repeat a secret")
	}
	require.Empty(t, checkpoint.Register("choba/x"))
	require.Empty(t, checkpoint.Register("other/x/y"))
	require.Equal(t, "x", checkpoint.Register("choba/x/y"))
}

func FuzzOpen(f *testing.F) {
	tree, dev, ses := signed(f)
	f.Add(tree)
	f.Add(dev)
	f.Add(ses)
	f.Add([]byte(strings.ReplaceAll(string(ses), "size 5", "size 05")))
	key, deviceKey := verifier(f, session(f)), verifier(f, device(f))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := checkpoint.Open(text, key); err == nil {
			require.True(t, strings.HasPrefix(string(text), origin+"\n5\n"), "only what was signed opens")
		}
		if got, err := checkpoint.OpenSession(text, deviceKey); err == nil {
			require.Equal(t, statement(t), got)
		}
		checkpoint.OpenDevice(text)
		checkpoint.Read(text)
	})
}
