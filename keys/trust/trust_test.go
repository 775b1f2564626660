package trust

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
)

// key makes the same note key for the same name and seed every time.
func key(t testing.TB, name string, seed byte) (signer note.Signer, vkey string) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	vkey, err := note.NewEd25519VerifierKey(name, private.Public().(ed25519.PublicKey))
	require.NoError(t, err)
	hash := strings.Split(vkey, "+")[1]
	skey := "PRIVATE+KEY+" + name + "+" + hash + "+" +
		base64.StdEncoding.EncodeToString(append([]byte{1}, private.Seed()...))
	signer, err = note.NewSigner(skey)
	require.NoError(t, err)
	return signer, vkey
}

// basePoint is P-256's generator: a point on the curve that everybody can write.
const basePoint = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q=="

// recipient is the example of age's own README.
const recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"

type set struct {
	list    List
	release []note.Signer
	store   note.Signer
	service []note.Signer
}

func testSet(t testing.TB) set {
	s := set{list: List{Product: "choba", Threshold: 2, ServiceThreshold: 2, Escrow: recipient, NoSecureBoot: Sell}}
	for i, name := range []string{"alice", "bob", "carol"} {
		signer, vkey := key(t, name, byte(i+1))
		s.release = append(s.release, signer)
		s.list.Release = append(s.list.Release, vkey)
	}
	s.store, s.list.Store = key(t, "store", 9)
	pcr, err := base64.StdEncoding.DecodeString(basePoint)
	require.NoError(t, err)
	s.list.PCR = pcr
	for i, name := range []string{"xavier", "yvonne", "zoltan"} {
		signer, vkey := key(t, name, byte(i+20))
		s.service = append(s.service, signer)
		s.list.Service = append(s.list.Service, vkey)
	}
	return s
}

func (s set) root(t testing.TB) Root {
	text, err := s.list.Encode()
	require.NoError(t, err)
	root, err := Parse(text)
	require.NoError(t, err)
	return root
}

func sign(t testing.TB, text string, signers ...note.Signer) []byte {
	signed, err := note.Sign(&note.Note{Text: text}, signers...)
	require.NoError(t, err)
	return signed
}

// Golden text.
func TestGolden(t *testing.T) {
	text, err := testSet(t).list.Encode()
	require.NoError(t, err)
	require.Equal(t, "choba trust 2\nproduct choba\nthreshold 2\n"+
		"release alice+4124365a+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c\n", prefix(string(text), 4))
	golden, err := os.ReadFile("testdata/trust.golden")
	require.NoError(t, err)
	require.Equal(t, string(golden), string(text))
}

func prefix(text string, lines int) string {
	return strings.Join(strings.SplitAfter(text, "\n")[:lines], "")
}

func TestRoundTrip(t *testing.T) {
	s := testSet(t)
	r := s.root(t)
	require.Equal(t, "choba", r.Product)
	require.Equal(t, 2, r.Threshold)
	require.Len(t, r.Release, 3)
	require.Equal(t, "store", r.Store.Name())
	require.Equal(t, s.list.PCR, r.PCR)
	require.Equal(t, 2, r.ServiceThreshold)
	require.Len(t, r.Service, 3)
	require.Equal(t, "zoltan", r.Service[2].Name())
	require.Equal(t, recipient, r.Escrow)
	require.Equal(t, Refuse, r.NoTPM, "the zero value")
	require.Equal(t, Sell, r.NoSecureBoot)
	require.False(t, r.Insecure())
}

func TestParseRefuses(t *testing.T) {
	s := testSet(t)
	good, err := s.list.Encode()
	require.NoError(t, err)
	_, sameKey := key(t, "dave", 1) // alice's key under another name
	_, later := key(t, "zoe", 7)
	alice := "release " + s.list.Release[0] + "\n"
	xavier := "service " + s.list.Service[0] + "\n"
	for name, change := range map[string][2]string{
		"another version":        {"trust 2", "trust 1"},
		"unknown word":           {"product", "prodigy"},
		"comment":                {"product", "# hello\nproduct"},
		"empty line":             {"product", "\nproduct"},
		"product twice":          {"product choba\n", "product choba\nproduct choba\n"},
		"no product":             {"product choba\n", ""},
		"product with a space":   {"product choba", "product cho ba"},
		"empty product":          {"product choba", "product "},
		"threshold 0":            {"\nthreshold 2", "\nthreshold 0"},
		"service threshold 0":    {"service-threshold 2", "service-threshold 0"},
		"service threshold over": {"service-threshold 2", "service-threshold 4"},
		"no service threshold":   {"service-threshold 2\n", ""},
		"service key twice":      {xavier, xavier + xavier},
		"release key serves":     {xavier, "service " + s.list.Release[0] + "\n" + xavier},
		"store key serves":       {xavier, "service " + s.list.Store + "\n" + xavier},
		"services out of order":  {xavier, "service " + later + "\n" + xavier},
		"no escrow":              {"escrow " + recipient + "\n", ""},
		"escrow twice":           {"escrow ", "escrow " + recipient + "\nescrow "},
		"escrow spoilt":          {"age1ql3z", "age1ql3q"},
		"escrow in capitals":     {recipient, strings.ToUpper(recipient)},
		"escrow short":           {recipient, recipient[:61]},
		"escrow of another kind": {recipient, "age1yubikey1" + recipient[12:]},
		"escrow not bech32":      {"age1ql3z", "age1ql3b"},
		"no word on the TPM":     {"no-tpm refuse\n", ""},
		"another word on it":     {"no-tpm refuse", "no-tpm maybe"},
		"no word on Secure Boot": {"no-secure-boot sell\n", ""},
		"capital word":           {"no-secure-boot sell", "no-secure-boot Sell"},
		"order at the end":       {"no-tpm refuse\nno-secure-boot sell\n", "no-secure-boot sell\nno-tpm refuse\n"},
		"threshold -1":           {"threshold 2", "threshold -1"},
		"threshold over keys":    {"threshold 2", "threshold 4"},
		"threshold padded":       {"threshold 2", "threshold 02"},
		"threshold signed":       {"threshold 2", "threshold +2"},
		"threshold in words":     {"threshold 2", "threshold two"},
		"no threshold":           {"threshold 2\n", ""},
		"key twice":              {alice, alice + alice},
		"key under two names":    {"store ", "release " + sameKey + "\nstore "},
		"keys out of order":      {alice, "release " + later + "\n" + alice},
		"no store":               {"store " + s.list.Store + "\n", ""},
		"release key as store":   {"store " + s.list.Store, "store " + sameKey},
		"broken key":             {"alice+4124365a", "alice+4124365b"},
		"upper-case key hash":    {"alice+4124365a", "alice+4124365A"},
		"return in a key":        {"AYqI4910", "AYqI\r4910"},
		"return in pcr":          {"MFkw", "MF\rkw"},
		"no pcr":                 {"pcr " + basePoint + "\n", ""},
		"pcr not base64":         {basePoint, "!!"},
		"pcr off the curve":      {"R9Q==", "R9R=="},
		"pcr not a key":          {basePoint, "AAAA"},
		"order of lines":         {"product choba\nthreshold 2\n", "threshold 2\nproduct choba\n"},
		"carriage return":        {"choba\n", "choba\r\n"},
		"two spaces":             {"threshold 2", "threshold  2"},
	} {
		require.Contains(t, string(good), change[0], name)
		_, err := Parse([]byte(strings.Replace(string(good), change[0], change[1], 1)))
		require.Error(t, err, name)
	}
	for name, text := range map[string][]byte{
		"nothing": nil, "not ended": good[:len(good)-1], "trailing line": append(bytes.Clone(good), '\n'),
		"too long": bytes.Repeat([]byte("x"), MaxBytes+1),
	} {
		_, err := Parse(text)
		require.Error(t, err, name)
	}
	_, err = List{}.Encode()
	require.Error(t, err)
}

// A corrupted list never becomes another valid one by a single changed byte that
// keeps its meaning: what parses, re-encodes to exactly the same bytes.
func TestEveryByte(t *testing.T) {
	good, err := testSet(t).list.Encode()
	require.NoError(t, err)
	accepted := 0
	for i := range good {
		for _, c := range []byte{0, ' ', '\n', 'A', 'z', '1', '+', '=', 0xff} {
			if good[i] == c {
				continue
			}
			other := bytes.Clone(good)
			other[i] = c
			if _, err := Parse(other); err == nil {
				accepted++
				require.Regexp(t, `^(product|threshold|service-threshold) `, lineOf(other, i))
			}
		}
	}
	require.NotZero(t, accepted, "another product name is another list")
}

func lineOf(text []byte, at int) string {
	start := bytes.LastIndexByte(text[:at], '\n') + 1
	return string(text[start : start+bytes.IndexByte(text[start:], '\n')])
}

// One release key is not enough, nor one key twice, nor strangers (A60: nobody
// releases alone).
func TestThreshold(t *testing.T) {
	s := testSet(t)
	r := s.root(t)
	mallory, _ := key(t, "mallory", 66)
	falseAlice, _ := key(t, "alice", 67)
	const text = "release 7\n"
	for _, c := range []struct {
		name    string
		signed  []byte
		want    error
		signers []string
	}{
		{"two", sign(t, text, s.release[0], s.release[2]), nil, []string{"alice", "carol"}},
		{"three", sign(t, text, s.release...), nil, []string{"alice", "bob", "carol"}},
		{"two and a stranger", sign(t, text, s.release[0], mallory, s.release[2]), nil, []string{"alice", "carol"}},
		{"one", sign(t, text, s.release[1]), ErrThreshold, nil},
		{"one and a stranger", sign(t, text, s.release[1], mallory), ErrThreshold, nil},
		{"one and a false name", sign(t, text, s.release[1], falseAlice), ErrThreshold, nil},
		{"one and the store key", sign(t, text, s.release[1], s.store), ErrThreshold, nil},
		{"a stranger", sign(t, text, mallory), ErrStranger, nil},
		{"the store key", sign(t, text, s.store), ErrStranger, nil},
		{"no note", []byte("hello"), ErrNotNote, nil},
		{"nothing", nil, ErrNotNote, nil},
		{"text changed", bytes.Replace(sign(t, text, s.release...), []byte("7"), []byte("8"), 1), ErrSignature, nil},
		{"one signature twice", twice(sign(t, text, s.release[0])), ErrThreshold, nil},
	} {
		got, signers, err := r.OpenRelease(c.signed)
		if c.want != nil {
			require.ErrorIs(t, err, c.want, c.name)
			require.Nil(t, got, c.name)
			continue
		}
		require.NoError(t, err, c.name)
		require.Equal(t, text, string(got), c.name)
		require.Equal(t, c.signers, signers, c.name)
	}
	_, _, err := Root{}.OpenRelease(sign(t, text, s.release...))
	require.Error(t, err, "the zero list trusts nobody")
}

// A ticket takes two service keys; release keys open no ticket and service keys
// no release (A60).
func TestTicket(t *testing.T) {
	s := testSet(t)
	r := s.root(t)
	const text = "ticket\n"
	got, signers, err := r.OpenTicket(sign(t, text, s.service[0], s.service[2]))
	require.NoError(t, err)
	require.Equal(t, text, string(got))
	require.Equal(t, []string{"xavier", "zoltan"}, signers)
	_, _, err = r.OpenTicket(sign(t, text, s.service[1], s.release[0]))
	require.ErrorIs(t, err, ErrThreshold)
	_, _, err = r.OpenTicket(twice(sign(t, text, s.service[1])))
	require.ErrorIs(t, err, ErrThreshold)
	_, _, err = r.OpenTicket(sign(t, text, s.release...))
	require.ErrorIs(t, err, ErrStranger)
	_, _, err = r.OpenRelease(sign(t, text, s.service...))
	require.ErrorIs(t, err, ErrStranger)
	_, _, err = r.OpenTicket(bytes.Replace(sign(t, text, s.service...), []byte("ticket"), []byte("tickei"), 1))
	require.ErrorIs(t, err, ErrSignature)
	_, _, err = Root{}.OpenTicket(sign(t, text, s.service...))
	require.Error(t, err)
	_, _, err = Root{Service: r.Service}.OpenTicket(sign(t, text, s.service...))
	require.ErrorIs(t, err, ErrThreshold, "threshold 0 is reached by nobody")
}

// Every one-symbol change of a recipient is noticed.
func TestRecipientChecksum(t *testing.T) {
	require.NoError(t, checkRecipient(recipient))
	for i := range recipient {
		for _, c := range "qpzry9x8gf2tvdw0s3jn54khce6mua7l1bA\n" {
			if rune(recipient[i]) != c {
				require.Error(t, checkRecipient(recipient[:i]+string(c)+recipient[i+1:]), "symbol %d", i)
			}
		}
	}
}

// twice repeats a note's last line, its signature.
func twice(signed []byte) []byte {
	lines := bytes.SplitAfter(signed, []byte("\n"))
	return append(bytes.Clone(signed), lines[len(lines)-2]...)
}

func TestStore(t *testing.T) {
	s := testSet(t)
	r := s.root(t)
	got, err := r.OpenStore(sign(t, "pack\n", s.store))
	require.NoError(t, err)
	require.Equal(t, "pack\n", string(got))
	_, err = r.OpenStore(sign(t, "pack\n", s.release...))
	require.ErrorIs(t, err, ErrStranger, "release keys sign no store packs")
	_, err = r.OpenStore([]byte("pack"))
	require.ErrorIs(t, err, ErrNotNote)
	_, err = Root{}.OpenStore(sign(t, "pack\n", s.store))
	require.ErrorIs(t, err, ErrStranger)
}

func TestInsecure(t *testing.T) {
	for _, change := range []func(*set){
		func(s *set) { s.list.Product = "choba-INSECURE" },
		func(s *set) { _, s.list.Release[0] = key(t, "INSECURE-a", 1) },
		func(s *set) { _, s.list.Store = key(t, "store-INSECURE", 9) },
		func(s *set) { _, s.list.Service[2] = key(t, "zoltan-INSECURE", 22) },
	} {
		s := testSet(t)
		change(&s)
		require.True(t, s.root(t).Insecure())
	}
}

func FuzzParse(f *testing.F) {
	good, err := testSet(f).list.Encode()
	require.NoError(f, err)
	f.Add(good)
	f.Add([]byte("choba trust 2\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Parse(text)
		if err == nil {
			require.GreaterOrEqual(t, r.Threshold, 1)
			require.LessOrEqual(t, r.Threshold, len(r.Release))
			require.NotNil(t, r.Store)
			require.GreaterOrEqual(t, r.ServiceThreshold, 1)
			require.LessOrEqual(t, r.ServiceThreshold, len(r.Service))
			require.NoError(t, checkRecipient(r.Escrow))
		}
	})
}

func FuzzOpenRelease(f *testing.F) {
	s := testSet(f)
	r := s.root(f)
	good := sign(f, "release 7\n", s.release[0], s.release[1])
	f.Add(good)
	f.Add(sign(f, "release 7\n", s.release[0]))
	f.Fuzz(func(t *testing.T, signed []byte) {
		text, _, err := r.OpenRelease(signed)
		if err == nil {
			require.Equal(t, sha256.Sum256([]byte("release 7\n")), sha256.Sum256(text), "nobody else can sign")
		}
	})
}
