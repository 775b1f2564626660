// Package trust is the list of whom a register believes: its product name, the
// release keys and how many of them must agree, the key that signs store packs,
// the key that approves values of PCR 13, the service keys that sign tickets, the
// vendor's escrow recipient, and what a register does that lacks a TPM or Secure Boot.
//
// The list is a text file, trust.txt, packed into the boot image and into the
// release. It has one "word value" per line, in this order and no other:
//
//	choba trust 2
//	product choba
//	threshold 2
//	release <verifier key of a signed note>     (threshold or more lines, sorted by name)
//	store <verifier key of a signed note>
//	pcr <base64 of a PKIX P-256 public key>
//	service-threshold 2
//	service <verifier key of a signed note>     (service-threshold or more lines, sorted by name)
//	escrow <age X25519 recipient>
//	no-tpm refuse                               (or sell)
//	no-secure-boot refuse                       (or sell)
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
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Limits of a trust.txt. A list beyond them is refused unread.
const (
	MaxBytes   = 16 << 10
	MaxRelease = 32 // release keys
	MaxService = 32 // service keys
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

	ServiceThreshold int             // how many of Service must have signed, 1 ≤ ServiceThreshold ≤ len(Service)
	Service          []note.Verifier // sign tickets (factory reset, re-bind); never one of Release, never Store
	Escrow           string          // age X25519 recipient: whom recovery keys are wrapped for

	NoTPM        Leniency // what a register without a TPM does
	NoSecureBoot Leniency // what a register with Secure Boot off does
}

// Leniency is what a register does when a protection that it should have is not
// there. The zero value refuses.
type Leniency uint8

// The two answers.
const (
	Refuse Leniency = iota // does not sell; recovery says why
	Sell                   // sells, and says so at every boot and on the screen at all times
)

func (l Leniency) String() string {
	if l == Sell {
		return "sell"
	}
	return "refuse"
}

// List is what a trust.txt says, as text: the form that Encode writes.
type List struct {
	Product   string
	Threshold int
	Release   []string // verifier keys
	Store     string   // verifier key
	PCR       []byte   // PKIX

	ServiceThreshold int
	Service          []string // verifier keys
	Escrow           string
	NoTPM            Leniency
	NoSecureBoot     Leniency
}

const firstLine = "choba trust 2"

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
	fmt.Fprintf(&b, "service-threshold %d\n", l.ServiceThreshold)
	for _, k := range l.Service {
		fmt.Fprintf(&b, "service %s\n", k)
	}
	fmt.Fprintf(&b, "escrow %s\nno-tpm %s\nno-secure-boot %s\n", l.Escrow, l.NoTPM, l.NoSecureBoot)
	return b.Bytes()
}

// Parse reads a trust.txt. It refuses unknown, missing, repeated or reordered
// lines, a threshold that no set of the keys could reach or that anybody could
// (below 1), a key that stands twice, also under another name or in another role,
// a recipient with a spoilt checksum, and any spelling that Encode would not have
// chosen.
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

// words are the first words of all lines; each is there at least once.
func words() []string {
	return []string{"product", "threshold", "release", "store", "pcr", "service-threshold", "service", "escrow", "no-tpm", "no-secure-boot"}
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
		if seen[word] && word != "release" && word != "service" {
			return l, fmt.Errorf("line %d: %.40q stands twice", n+2, word)
		}
		seen[word] = true
		if err := l.take(word, value); err != nil {
			return l, fmt.Errorf("line %d: %w", n+2, err)
		}
	}
	for _, word := range words() {
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
	case "service-threshold":
		l.ServiceThreshold, err = strconv.Atoi(value)
	case "service":
		l.Service = append(l.Service, value)
	case "escrow":
		l.Escrow = value
	case "no-tpm":
		l.NoTPM, err = leniency(value)
	case "no-secure-boot":
		l.NoSecureBoot, err = leniency(value)
	default:
		err = fmt.Errorf("unknown word %.40q", word)
	}
	return err
}

func leniency(value string) (Leniency, error) {
	switch value {
	case Refuse.String():
		return Refuse, nil
	case Sell.String():
		return Sell, nil
	}
	return Refuse, fmt.Errorf("%.40q: want refuse or sell", value)
}

func (l List) root() (Root, error) {
	r := Root{
		Product: l.Product, Threshold: l.Threshold, PCR: l.PCR, ServiceThreshold: l.ServiceThreshold,
		Escrow: l.Escrow, NoTPM: l.NoTPM, NoSecureBoot: l.NoSecureBoot,
	}
	if !goodProduct(l.Product) {
		return r, fmt.Errorf("product %.80q: want 1 to %d letters, digits, '.', '_' or '-'", l.Product, MaxProduct)
	}
	seen := keySet{names: map[string]bool{}, keys: map[string]bool{}}
	var err error
	if r.Release, err = seen.group("release", l.Release, l.Threshold, MaxRelease); err != nil {
		return r, err
	}
	if r.Store, err = seen.verifier(l.Store); err != nil {
		return r, err
	}
	if err := checkP256(l.PCR); err != nil {
		return r, fmt.Errorf("pcr key: %w", err)
	}
	if r.Service, err = seen.group("service", l.Service, l.ServiceThreshold, MaxService); err != nil {
		return r, err
	}
	if err := checkRecipient(l.Escrow); err != nil {
		return r, fmt.Errorf("escrow recipient: %w", err)
	}
	return r, nil
}

// keySet notes the names and the key material seen so far in a list.
type keySet struct{ names, keys map[string]bool }

// group reads the keys of one role: threshold to most of them, sorted by name.
func (s keySet) group(role string, vkeys []string, threshold, most int) ([]note.Verifier, error) {
	if len(vkeys) > most {
		return nil, fmt.Errorf("%d %s keys, at most %d", len(vkeys), role, most)
	}
	if threshold < 1 || threshold > len(vkeys) {
		return nil, fmt.Errorf("threshold %d of %d %s keys", threshold, len(vkeys), role)
	}
	var out []note.Verifier
	last := ""
	for _, vkey := range vkeys {
		v, err := s.verifier(vkey)
		if err != nil {
			return nil, err
		}
		if v.Name() < last {
			return nil, fmt.Errorf("%s key %s is not in order of names", role, v.Name())
		}
		last = v.Name()
		out = append(out, v)
	}
	return out, nil
}

// verifier reads one verifier key and notes its name and its key material; either
// one standing there already is an error.
func (s keySet) verifier(vkey string) (note.Verifier, error) {
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("key %.80q: %w", vkey, err)
	}
	material, canonical := spelling(vkey, v)
	if !canonical {
		return nil, fmt.Errorf("key %.80q: not in its canonical spelling", vkey)
	}
	if s.names[v.Name()] {
		return nil, fmt.Errorf("two keys are called %s", v.Name())
	}
	if s.keys[material] {
		return nil, fmt.Errorf("key %s stands twice", v.Name())
	}
	s.names[v.Name()], s.keys[material] = true, true
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
	named := append(slices.Clone(r.Release), r.Service...)
	if r.Store != nil {
		named = append(named, r.Store)
	}
	return slices.ContainsFunc(named, func(v note.Verifier) bool { return strings.Contains(v.Name(), InsecureMark) })
}
