// Package trust is the list of whom a register believes: its product name, the
// release keys and how many of them must agree, the key that signs store packs,
// and the key that approves values of PCR 13.
//
// The list is a text file, trust.txt, packed into the boot image and into the
// release. It has one "word value" per line, in this order and no other:
//
//	choba trust 1
//	product choba
//	threshold 2
//	release <verifier key of a signed note>     (threshold or more lines, sorted by name)
//	store <verifier key of a signed note>
//	pcr <base64 of a PKIX P-256 public key>
//
// It is not a key store and knows no private key; keys/dev makes those.
//
// The rule that keeps it small: one spelling per meaning. What Encode would not
// have written, Parse refuses.
package trust

import (
	"bytes"
	"crypto/ecdh"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Limits of a trust.txt. A list beyond them is refused unread.
const (
	MaxBytes   = 16 << 10
	MaxRelease = 32
	MaxProduct = 64
)

// InsecureMark is the word that development keys carry in every name.
const InsecureMark = "INSECURE"

// Root is a parsed trust.txt. The zero Root trusts nobody: it opens nothing.
type Root struct {
	Product   string          // what releases must be for
	Threshold int             // how many of Release must have signed, 1 ≤ Threshold ≤ len(Release)
	Release   []note.Verifier // distinct names and distinct keys
	Store     note.Verifier   // signs store packs; never one of Release
	PCR       []byte          // PKIX public key, P-256, that approves values of PCR 13
}

// List is what a trust.txt says, as text: the form that Encode writes.
type List struct {
	Product   string
	Threshold int
	Release   []string // verifier keys
	Store     string   // verifier key
	PCR       []byte   // PKIX
}

const firstLine = "choba trust 1"

// Encode writes the list in its only spelling. It refuses what Parse would refuse.
func (l List) Encode() ([]byte, error) {
	text := l.text()
	if _, err := Parse(text); err != nil {
		return nil, err
	}
	return text, nil
}

func (l List) text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nproduct %s\nthreshold %d\n", firstLine, l.Product, l.Threshold)
	for _, k := range l.Release {
		fmt.Fprintf(&b, "release %s\n", k)
	}
	fmt.Fprintf(&b, "store %s\npcr %s\n", l.Store, base64.StdEncoding.EncodeToString(l.PCR))
	return b.Bytes()
}

// Parse reads a trust.txt. It refuses unknown, missing, repeated or reordered
// lines, a threshold that no set of the keys could reach or that anybody could
// (below 1), a key that stands twice, also under another name, and any spelling
// that Encode would not have chosen.
func Parse(text []byte) (Root, error) {
	l, err := parseList(text)
	if err != nil {
		return Root{}, fmt.Errorf("reading trust list: %w", err)
	}
	root, err := l.root()
	if err != nil {
		return Root{}, fmt.Errorf("reading trust list: %w", err)
	}
	if !bytes.Equal(l.text(), text) {
		return Root{}, errors.New("reading trust list: not in its canonical spelling")
	}
	return root, nil
}

func parseList(text []byte) (List, error) {
	var l List
	if len(text) > MaxBytes {
		return l, fmt.Errorf("%d bytes, at most %d", len(text), MaxBytes)
	}
	body, ok := strings.CutSuffix(string(text), "\n")
	if !ok {
		return l, errors.New("last line is not ended")
	}
	lines := strings.Split(body, "\n")
	if lines[0] != firstLine {
		return l, fmt.Errorf("first line is %.40q, want %q", lines[0], firstLine)
	}
	seen := map[string]bool{}
	for n, line := range lines[1:] {
		word, value, _ := strings.Cut(line, " ")
		if seen[word] && word != "release" {
			return l, fmt.Errorf("line %d: %s stands twice", n+2, word)
		}
		seen[word] = true
		if err := l.take(word, value); err != nil {
			return l, fmt.Errorf("line %d: %w", n+2, err)
		}
	}
	for _, word := range []string{"product", "threshold", "release", "store", "pcr"} {
		if !seen[word] {
			return l, fmt.Errorf("no line %s", word)
		}
	}
	return l, nil
}

func (l *List) take(word, value string) (err error) {
	switch word {
	case "product":
		l.Product = value
	case "threshold":
		l.Threshold, err = strconv.Atoi(value)
	case "release":
		l.Release = append(l.Release, value)
	case "store":
		l.Store = value
	case "pcr":
		l.PCR, err = base64.StdEncoding.Strict().DecodeString(value)
	default:
		err = fmt.Errorf("unknown word %.40q", word)
	}
	return err
}

func (l List) root() (Root, error) {
	r := Root{Product: l.Product, Threshold: l.Threshold, PCR: l.PCR}
	if !goodProduct(l.Product) {
		return r, fmt.Errorf("product %.80q: want 1 to %d letters, digits, '.', '_' or '-'", l.Product, MaxProduct)
	}
	if len(l.Release) > MaxRelease {
		return r, fmt.Errorf("%d release keys, at most %d", len(l.Release), MaxRelease)
	}
	if l.Threshold < 1 || l.Threshold > len(l.Release) {
		return r, fmt.Errorf("threshold %d of %d release keys", l.Threshold, len(l.Release))
	}
	names, keys := map[string]bool{}, map[string]bool{}
	last := ""
	for i, vkey := range append(append([]string{}, l.Release...), l.Store) {
		v, err := verifier(vkey, names, keys)
		if err != nil {
			return r, err
		}
		if i == len(l.Release) {
			r.Store = v
			break
		}
		if v.Name() < last {
			return r, fmt.Errorf("release key %s is not in order of names", v.Name())
		}
		last = v.Name()
		r.Release = append(r.Release, v)
	}
	if err := checkP256(l.PCR); err != nil {
		return r, fmt.Errorf("pcr key: %w", err)
	}
	return r, nil
}

// verifier reads one verifier key and notes its name and its key material in the
// two sets; either one standing there already is an error.
func verifier(vkey string, names, keys map[string]bool) (note.Verifier, error) {
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("key %.80q: %w", vkey, err)
	}
	material, canonical := spelling(vkey, v)
	if !canonical {
		return nil, fmt.Errorf("key %.80q: not in its canonical spelling", vkey)
	}
	if names[v.Name()] {
		return nil, fmt.Errorf("two keys are called %s", v.Name())
	}
	if keys[material] {
		return nil, fmt.Errorf("key %s stands twice", v.Name())
	}
	names[v.Name()], keys[material] = true, true
	return v, nil
}

// spelling returns the base64 of a verifier key's material and whether the key is
// written as note.GenerateKey would: package note itself also takes upper-case
// digits and, inside the base64, carriage returns.
func spelling(vkey string, v note.Verifier) (material string, canonical bool) {
	_, material, _ = strings.Cut(strings.TrimPrefix(vkey, v.Name()+"+"), "+")
	raw, err := base64.StdEncoding.Strict().DecodeString(material)
	again := fmt.Sprintf("%s+%08x+%s", v.Name(), v.KeyHash(), base64.StdEncoding.EncodeToString(raw))
	return material, err == nil && again == vkey
}

func goodProduct(s string) bool {
	if s == "" || len(s) > MaxProduct {
		return false
	}
	return strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == ""
}

// spkiP256 begins every PKIX encoding of an uncompressed P-256 point (RFC 5480).
const spkiP256 = "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00"

func checkP256(pkix []byte) error {
	point, ok := bytes.CutPrefix(pkix, []byte(spkiP256))
	if !ok {
		return errors.New("not a PKIX P-256 public key")
	}
	_, err := ecdh.P256().NewPublicKey(point)
	return err
}

// Insecure reports whether this is a list of development keys: the product or a
// key says so in its name. A release build refuses such a list.
func (r Root) Insecure() bool {
	if strings.Contains(r.Product, InsecureMark) {
		return true
	}
	for _, v := range r.Release {
		if strings.Contains(v.Name(), InsecureMark) {
			return true
		}
	}
	return r.Store != nil && strings.Contains(r.Store.Name(), InsecureMark)
}
