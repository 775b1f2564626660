package release

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/choba-os/choba/image/verity"
)

// ErrManifest means that the signed text is not a manifest that we could have written.
var ErrManifest = errors.New("not a release manifest")

// Parse reads a manifest's text and refuses every spelling but Encode's. The
// error wraps ErrManifest.
func Parse(text []byte) (Manifest, error) {
	m, err := parse(text)
	if err == nil {
		err = m.check()
	}
	if err == nil && !bytes.Equal(m.text(), text) {
		err = errors.New("not in its canonical spelling")
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	return m, nil
}

func parse(text []byte) (m Manifest, err error) {
	if len(text) > MaxNote {
		return m, fmt.Errorf("%d bytes, at most %d", len(text), MaxNote)
	}
	body, ended := strings.CutSuffix(string(text), "\n")
	lines := strings.Split(body, "\n")
	if !ended || lines[0] != firstLine {
		return m, fmt.Errorf("first line is %.40q, want %q", lines[0], firstLine)
	}
	seen := map[string]int{}
	for n, line := range lines[1:] {
		word, value, _ := strings.Cut(line, " ")
		if seen[word]++; seen[word] > most(word) {
			return m, fmt.Errorf("line %d: too many lines %.40q", n+2, word)
		}
		if err := m.take(word, value); err != nil {
			return m, fmt.Errorf("line %d: %.40s: %w", n+2, word, err)
		}
	}
	for _, word := range []string{"product", "version", "name", "schema", "hardware", "erofs", "tree", "boot", "sbom",
		"verity", "root-signature", "pcr13-policy-signature"} {
		if seen[word] == 0 {
			return m, fmt.Errorf("no line %s", word)
		}
	}
	return m, nil
}

// most is how many lines may begin with this word.
func most(word string) int {
	switch word {
	case "hardware":
		return MaxHardware
	case "program":
		return MaxPrograms
	}
	return 1
}

func (m *Manifest) take(word, value string) (err error) {
	switch word {
	case "product":
		m.Product, err = takeWord(value)
	case "version":
		m.Version, err = strconv.ParseUint(value, 10, 64)
	case "name":
		m.Name, err = takeWord(value)
	case "schema":
		m.Schema, err = strconv.ParseUint(value, 10, 64)
	case "hardware":
		var h string
		h, err = takeWord(value)
		m.Hardware = append(m.Hardware, h)
	case "erofs":
		m.EROFS, err = takeFile(value)
	case "tree":
		m.Tree, err = takeFile(value)
	case "boot":
		m.Boot, err = takeFile(value)
	case "sbom":
		m.SBOM, err = takeFile(value)
	case "program":
		path, rest, _ := strings.Cut(value, " ")
		p := Program{Path: path}
		p.File, err = takeFile(rest)
		m.Programs = append(m.Programs, p)
	case "verity":
		m.Verity, err = takeVerity(value)
	case "root-signature":
		m.RootSignature, err = base64.StdEncoding.Strict().DecodeString(value)
	case "pcr13-policy-signature":
		m.PCR13Signature, err = base64.StdEncoding.Strict().DecodeString(value)
	default:
		err = errors.New("unknown word")
	}
	return err
}

func takeWord(value string) (string, error) {
	if !goodWord(value) {
		return "", fmt.Errorf("%.80q: want 1 to %d of letters, digits and ._-+", value, MaxWord)
	}
	return value, nil
}

func takeFile(value string) (f File, err error) {
	size, sum, _ := strings.Cut(value, " ")
	if f.Size, err = strconv.ParseInt(size, 10, 64); err != nil {
		return f, err
	}
	f.SHA256, err = parseHash(sum)
	return f, err
}

func takeVerity(value string) (p verity.Params, err error) {
	w := strings.Split(value, " ")
	if len(w) != 3 {
		return p, fmt.Errorf("%d words, want 3", len(w))
	}
	root, err := parseHash(w[0])
	if err != nil {
		return p, err
	}
	p.Root = root
	if p.Salt, err = hex.DecodeString(w[1]); err != nil {
		return p, err
	}
	if len(p.Salt) != verity.MaxSalt {
		return p, fmt.Errorf("salt of %d bytes, want %d", len(p.Salt), verity.MaxSalt)
	}
	p.Blocks, err = strconv.ParseUint(w[2], 10, 32)
	p.HashStart = p.Blocks
	return p, err
}
