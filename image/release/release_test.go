package release

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/choba-os/choba/image/verity"
	"github.com/choba-os/choba/keys/trust"
)

// signer makes the same note key for the same name and seed every time.
func signer(t testing.TB, name string, seed byte) (note.Signer, string) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	vkey, err := note.NewEd25519VerifierKey(name, private.Public().(ed25519.PublicKey))
	require.NoError(t, err)
	s, err := note.NewSigner("PRIVATE+KEY+" + name + "+" + strings.Split(vkey, "+")[1] + "+" +
		base64.StdEncoding.EncodeToString(append([]byte{1}, private.Seed()...)))
	require.NoError(t, err)
	return s, vkey
}

// pcrKey is any point on the curve: nothing here is signed with it.
const pcrKey = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q=="

type vendor struct {
	root    trust.Root
	signers []note.Signer
}

func testVendor(t testing.TB) vendor {
	v := vendor{}
	l := trust.List{Product: "choba", Threshold: 2, ServiceThreshold: 1, Escrow: "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"}
	for i, name := range []string{"alice", "bob", "carol"} {
		s, vkey := signer(t, name, byte(i+1))
		v.signers = append(v.signers, s)
		l.Release = append(l.Release, vkey)
	}
	_, l.Store = signer(t, "store", 9)
	_, service := signer(t, "service", 10)
	l.Service = []string{service}
	var err error
	l.PCR, err = base64.StdEncoding.DecodeString(pcrKey)
	require.NoError(t, err)
	text, err := l.Encode()
	require.NoError(t, err)
	v.root, err = trust.Parse(text)
	require.NoError(t, err)
	return v
}

// parts are small but real: an "EROFS" of three blocks with its tree.
func testParts(t testing.TB) (Manifest, map[Part][]byte) {
	erofs := bytes.Repeat([]byte("erofs..."), 3*verity.BlockSize/8)
	salt := bytes.Repeat([]byte{7}, verity.MaxSalt)
	tree, root, err := verity.Build(bytes.NewReader(erofs), 3, salt)
	require.NoError(t, err)
	parts := map[Part][]byte{PartEROFS: erofs, PartTree: tree, PartBoot: []byte("MZ boot image"), PartSBOM: []byte("{}")}
	return Manifest{
		Product: "choba", Version: 7, Name: "1.0.0", Schema: 1, Hardware: []string{HardwarePC, "thin-9"},
		EROFS: Sum(erofs), Tree: Sum(tree), Boot: Sum(parts[PartBoot]), SBOM: Sum(parts[PartSBOM]),
		Programs:       []Program{{"/init", Sum([]byte("init"))}, {"/svc/journal", Sum([]byte("journal"))}},
		Verity:         verity.Params{Root: root, Salt: salt, Blocks: 3, HashStart: 3},
		RootSignature:  []byte{0x30, 1, 2},
		PCR13Signature: bytes.Repeat([]byte{9}, 64),
	}, parts
}

func testRelease(t testing.TB) (vendor, Manifest, map[Part][]byte, []byte) {
	v := testVendor(t)
	m, parts := testParts(t)
	signed, err := Sign(m, v.signers[:2]...)
	require.NoError(t, err)
	return v, m, parts, signed
}

// Golden text: what a vendor's signers read before they sign (A50). Its hashes were
// computed by sha256sum and veritysetup.
func TestGolden(t *testing.T) {
	m, _ := testParts(t)
	text, err := m.Encode()
	require.NoError(t, err)
	golden, err := os.ReadFile("testdata/manifest.golden")
	require.NoError(t, err)
	require.Equal(t, string(golden), string(text))
}

func TestRoundTrip(t *testing.T) {
	m, _ := testParts(t)
	text, err := m.Encode()
	require.NoError(t, err)
	back, err := Parse(text)
	require.NoError(t, err)
	require.Equal(t, m, back)
	m.Programs = nil
	text, err = m.Encode()
	require.NoError(t, err)
	back, err = Parse(text)
	require.NoError(t, err)
	require.Equal(t, m, back)
}

func TestParseRefuses(t *testing.T) {
	m, _ := testParts(t)
	good, err := m.Encode()
	require.NoError(t, err)
	zeros := strings.Repeat("0", 64)
	for name, change := range map[string][2]string{
		"another format":        {"release 1", "release 2"},
		"unknown word":          {"schema 1", "scheme 1"},
		"line missing":          {"name 1.0.0\n", ""},
		"line twice":            {"name 1.0.0\n", "name 1.0.0\nname 1.0.0\n"},
		"order of lines":        {"product choba\nversion 7\n", "version 7\nproduct choba\n"},
		"version 0":             {"version 7", "version 0"},
		"version negative":      {"version 7", "version -7"},
		"version padded":        {"version 7", "version 07"},
		"product with a space":  {"product choba", "product cho ba"},
		"empty name":            {"name 1.0.0", "name "},
		"name with a slash":     {"name 1.0.0", "name 1/0"},
		"long name":             {"name 1.0.0", "name " + strings.Repeat("x", MaxWord+1)},
		"hardware unsorted":     {"hardware pc-x86-64", "hardware zz"},
		"hardware twice":        {"hardware thin-9", "hardware pc-x86-64"},
		"no hardware":           {"hardware pc-x86-64\nhardware thin-9\n", ""},
		"size of erofs":         {"erofs 12288", "erofs 12287"},
		"size of tree":          {"tree 4096", "tree 8192"},
		"size 0":                {"sbom 2", "sbom 0"},
		"size negative":         {"sbom 2", "sbom -2"},
		"size absurd":           {"sbom 2", "sbom 1073741825"},
		"hash missing":          {"sbom 2 ", "sbom 2"},
		"hash upper case":       {"erofs 12288 ", "erofs 12288 A"},
		"program relative":      {"program /init", "program init"},
		"program climbing":      {"program /init", "program /../init"},
		"program folder":        {"program /init", "program /init/"},
		"programs unsorted":     {"program /init", "program /tmp/x"},
		"program twice":         {"program /init", "program /svc/journal"},
		"verity root":           {"verity ", "verity 0"},
		"verity salt":           {strings.Repeat("07", 32), "07"},
		"verity blocks":         {" 3\n", " 4\n"},
		"verity words":          {" 3\n", " 3 3\n"},
		"verity blocks absurd":  {" 3\n", " 4294967296\n"},
		"no root signature":     {"root-signature MAEC", "root-signature "},
		"signature not base64":  {"MAEC", "MA=C"},
		"signature bits":        {"MAEC", "MAF="},
		"pcr signature short":   {"CQkJ", ""},
		"carriage return":       {"choba\n", "choba\r\n"},
		"return in a signature": {"MAEC", "MA\rEC"},
		"trailing word":         {"schema 1", "schema 1 2"},
		"blank line":            {"schema 1\n", "schema 1\n\n"},
		"program hash":          {"program /init 4 ", "program /init 4 " + zeros},
	} {
		require.Contains(t, string(good), change[0], name)
		_, err := Parse([]byte(strings.Replace(string(good), change[0], change[1], 1)))
		require.ErrorIs(t, err, ErrManifest, name)
	}
	for name, text := range map[string]string{
		"nothing": "", "not ended": string(good[:len(good)-1]), "too long": strings.Repeat("x", MaxNote+1),
		"too many programs": strings.Replace(string(good), "verity", strings.Repeat("program /x 1 "+zeros+"\n", MaxPrograms)+"verity", 1),
	} {
		_, err := Parse([]byte(text))
		require.ErrorIs(t, err, ErrManifest, name)
	}
}

func TestTooLargeForASlot(t *testing.T) {
	m, _ := testParts(t)
	m.Verity.Blocks = 96 << 20 / verity.BlockSize
	m.Verity.HashStart = m.Verity.Blocks
	m.EROFS.Size = 96 << 20
	m.Tree.Size = int64(verity.TreeBlocks(m.Verity.Blocks) * verity.BlockSize)
	_, err := m.Encode()
	require.ErrorContains(t, err, "a slot holds")
}

// Why a release is not taken, in words that a person on the recovery screen can
// act on (A51, A60, A61).
func TestCheck(t *testing.T) {
	v, m, _, signed := testRelease(t)
	stranger, _ := signer(t, "mallory", 66)
	here := Register{Hardware: HardwarePC, Floor: 7}
	resign := func(change func(*Manifest), who ...note.Signer) []byte {
		c := m
		change(&c)
		out, err := Sign(c, who...)
		require.NoError(t, err)
		return out
	}
	same := func(*Manifest) {}
	other := func(m *Manifest) { m.Product = "kasse" }
	raw, err := note.Sign(&note.Note{Text: "choba release 2\n"}, v.signers[:2]...)
	require.NoError(t, err)
	for _, c := range []struct {
		name   string
		signed []byte
		at     Register
		want   error
		words  string
	}{
		{"good", signed, here, nil, ""},
		{"one signer", resign(same, v.signers[0]), here, trust.ErrThreshold, "release manifest: too few keys have signed: 1 of the 2 needed"},
		{"one and a stranger", resign(same, v.signers[0], stranger), here, trust.ErrThreshold, "too few keys"},
		{"strangers", resign(same, stranger), here, trust.ErrStranger, "not signed by a key that this register knows"},
		{"other product", resign(other, v.signers...), here, ErrProduct, "release is for another product: kasse, this is choba"},
		{"other hardware", signed, Register{Hardware: "arm-pad"}, ErrHardware, "it is for [pc-x86-64 thin-9], this is arm-pad"},
		{"below the floor", signed, Register{Hardware: HardwarePC, Floor: 8}, ErrFloor, "version 7, the floor is 8"},
		{"altered", bytes.Replace(signed, []byte("version 7"), []byte("version 9"), 1), here, trust.ErrSignature, "signature does not fit the text"},
		{"other text", raw, here, ErrManifest, "not a release manifest"},
		{"no note", []byte("x"), here, trust.ErrNotNote, "not a signed note"},
	} {
		r, err := Check(v.root, c.signed, c.at)
		if c.want == nil {
			require.NoError(t, err, c.name)
			require.Equal(t, m, r.Manifest)
			require.Equal(t, []string{"alice", "bob"}, r.Signers)
			continue
		}
		require.ErrorIs(t, err, c.want, c.name)
		require.ErrorContains(t, err, c.words, c.name)
		require.Zero(t, r, c.name)
	}
}

// The identity of a release is its text: another set of signers names the same one.
func TestIdentity(t *testing.T) {
	v, m, _, signed := testRelease(t)
	more, err := Sign(m, v.signers...)
	require.NoError(t, err)
	here := Register{Hardware: HardwarePC}
	a, err := Check(v.root, signed, here)
	require.NoError(t, err)
	b, err := Check(v.root, more, here)
	require.NoError(t, err)
	require.Equal(t, a.ID, b.ID)
	m.Name = "1.0.1"
	signed, err = Sign(m, v.signers...)
	require.NoError(t, err)
	c, err := Check(v.root, signed, here)
	require.NoError(t, err)
	require.NotEqual(t, a.ID, c.ID)
}

// With exactly the threshold of signatures, no changed byte of a signed manifest
// is taken.
func TestEveryByteOfTheNote(t *testing.T) {
	v, _, _, signed := testRelease(t)
	for i := range signed {
		for _, flip := range []byte{1, 0x20, 0x80} {
			signed[i] ^= flip
			_, err := Check(v.root, signed, Register{Hardware: HardwarePC})
			require.Error(t, err, "byte %d", i)
			signed[i] ^= flip
		}
	}
}

func FuzzParse(f *testing.F) {
	m, _ := testParts(f)
	good, err := m.Encode()
	require.NoError(f, err)
	f.Add(good)
	f.Add([]byte("choba release 1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Parse(text)
		if err != nil {
			require.ErrorIs(t, err, ErrManifest)
			return
		}
		again, err := m.Encode()
		require.NoError(t, err)
		require.Equal(t, text, again)
	})
}
