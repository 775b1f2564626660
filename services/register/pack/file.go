package pack

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/choba-os/choba/keys/trust"
)

// Path is where the pack lies in the image.
const Path = "/share/shop.pack"

// MaxBytes bounds a pack file: 200,000 articles need about 45 MB.
const MaxBytes = 64 << 20

const maxNote = 8 << 10

// ErrForm says that a file is not a store pack, or not a whole one.
var ErrForm = errors.New("not a whole store pack")

// Seal writes a pack file: a line with both sizes, the signed note, the body.
func Seal(p Pack, signer note.Signer) ([]byte, error) {
	body, err := Encode(p)
	if err != nil {
		return nil, err
	}
	signed, err := note.Sign(&note.Note{Text: statement(p, body)}, signer)
	if err != nil {
		return nil, fmt.Errorf("signing the store pack: %w", err)
	}
	var out bytes.Buffer
	out.WriteString(sizes(len(signed), len(body)))
	out.Write(signed)
	out.Write(body)
	return out.Bytes(), nil
}

func sizes(signed, body int) string {
	return fmt.Sprintf("choba store pack 1, note %d, body %d\n", signed, body)
}

// statement is what the store key signs.
func statement(p Pack, body []byte) string {
	return fmt.Sprintf("choba store pack 1\nid %s\nedition %d\nregister %s\nsha256 %x\n", p.ID, p.Edition, p.Register, sha256.Sum256(body))
}

// Open reads a pack file that the store key of root has signed. Any other byte in it is an error.
func Open(root trust.Root, file []byte) (Pack, error) {
	signed, body, err := split(file)
	if err != nil {
		return Pack{}, fmt.Errorf("opening the store pack: %w", err)
	}
	text, err := root.OpenStore(signed)
	if err != nil {
		return Pack{}, fmt.Errorf("opening the store pack: %w", err)
	}
	if want := fmt.Sprintf("sha256 %x\n", sha256.Sum256(body)); !strings.HasSuffix(string(text), want) {
		return Pack{}, fmt.Errorf("opening the store pack: the body is not the one that was signed")
	}
	p, err := Parse(body)
	if err != nil {
		return Pack{}, err
	}
	if string(text) != statement(p, body) {
		return Pack{}, fmt.Errorf("opening the store pack: the signed statement is about another pack")
	}
	if again, err := Encode(p); err != nil || !bytes.Equal(again, body) {
		return Pack{}, fmt.Errorf("opening the store pack: the body is not in its one spelling")
	}
	return p, nil
}

func split(file []byte) (signed, body []byte, err error) {
	if len(file) > MaxBytes {
		return nil, nil, fmt.Errorf("%w: larger than %d bytes", ErrForm, MaxBytes)
	}
	line, rest, _ := bytes.Cut(file, []byte("\n"))
	var n, m int
	if len(line) > 80 {
		return nil, nil, ErrForm
	}
	if _, err := fmt.Sscanf(string(line), "choba store pack 1, note %d, body %d", &n, &m); err != nil {
		return nil, nil, ErrForm
	}
	if n < 1 || n > maxNote || m < 1 || m != len(rest)-n || sizes(n, m) != string(line)+"\n" {
		return nil, nil, ErrForm
	}
	return rest[:n], rest[n:], nil
}
