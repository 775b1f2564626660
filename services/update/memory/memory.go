// Package memory is what the update service remembers over a restart: the release that init would not take, what was
// last said in the journal about a refusal, and the hash tree of the release that is being loaded.
//
// Losing all of it costs a try and a few bytes, never a wrong decision: init remembers by itself which releases failed
// here, and a tree is checked against its release. Files in one folder:
//
//	notes        a frame (image/frame, magic CHOBA-UPDATE-1, 8 KiB) around a line of JSON
//	tree-<hash>  a hash tree, named by its SHA-256; one at most
//
// It is not the metadata of repositories (image/repository keeps that in a folder of its own). The rule that keeps it
// small: what could be found out again in another way is not here.
package memory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/choba-os/choba/image/frame"
)

const (
	magic     = "CHOBA-UPDATE-1"
	size      = 8 << 10
	notesFile = "notes"
	treeFile  = "tree-"
	maxTree   = 1 << 20
	maxWhy    = 1000 // bytes of a reason
)

// Notes are what is remembered. The zero Notes remember nothing.
type Notes struct {
	Refused Refusal `json:"refused"` // the release that init would not take; zero: none
	Told    string  `json:"told"`    // which refusal the journal has
}

// Refusal is a release that the dry run would not take, and why, in init's words.
type Refusal struct {
	Version  uint64 `json:"version"`
	Name     string `json:"name"`
	Manifest string `json:"manifest"` // 64 hex digits
	Why      string `json:"why"`
}

// Encode gives the bytes that are stored.
func (n Notes) Encode() ([]byte, error) {
	n.Refused.Why = clip(n.Refused.Why)
	line, err := json.Marshal(n)
	if err != nil {
		return nil, fmt.Errorf("writing the update's notes: %w", err)
	}
	return frame.Encode(magic, 0, append(line, '\n'), size)
}

// Parse reads what Encode wrote, and refuses anything else.
func Parse(data []byte) (Notes, error) {
	if len(data) != size {
		return Notes{}, fmt.Errorf("reading the update's notes: %d bytes, want %d", len(data), size)
	}
	line, _, err := frame.Decode(magic, data)
	if err != nil {
		return Notes{}, fmt.Errorf("reading the update's notes: %w", err)
	}
	var n Notes
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&n); err != nil {
		return Notes{}, fmt.Errorf("reading the update's notes: %w", err)
	}
	if again, err := n.Encode(); err != nil || !bytes.Equal(again, data) {
		return Notes{}, errors.New("reading the update's notes: not in their one spelling")
	}
	return n, nil
}

func clip(text string) string {
	text = strings.ToValidUTF8(text, "?")
	for len(text) > maxWhy {
		_, n := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-n]
	}
	return text
}

// Folder is where it lies.
type Folder struct{ dir string }

// At is the folder at dir, which must exist.
func At(dir string) Folder { return Folder{dir} }

// Notes reads the notes; without any they are zero. Damaged ones are an error, and zero.
func (f Folder) Notes() (Notes, error) {
	data, err := read(filepath.Join(f.dir, notesFile), size)
	if errors.Is(err, os.ErrNotExist) {
		return Notes{}, nil
	}
	if err != nil {
		return Notes{}, fmt.Errorf("reading the update's notes: %w", err)
	}
	return Parse(data)
}

// SetNotes replaces the notes, durably: a power cut leaves the old ones or these.
func (f Folder) SetNotes(n Notes) error {
	data, err := n.Encode()
	if err != nil {
		return err
	}
	if err := f.write(notesFile, data); err != nil {
		return fmt.Errorf("writing the update's notes: %w", err)
	}
	return nil
}

// Load is stage.Memory's.
func (f Folder) Load(name string) []byte {
	data, err := read(filepath.Join(f.dir, treeFile+name), maxTree)
	if err != nil {
		return nil // it is fetched again
	}
	return data
}

// Store is stage.Memory's. Trees of other releases go.
func (f Folder) Store(name string, data []byte) error {
	old, err := filepath.Glob(filepath.Join(f.dir, treeFile+"*"))
	if err != nil {
		return err
	}
	for _, o := range old {
		if err := os.Remove(o); err != nil {
			return err
		}
	}
	return f.write(treeFile+name, data)
}

func read(path string, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("more than %d bytes", most)
	}
	return data, err
}

func (f Folder) write(name string, data []byte) error {
	next := filepath.Join(f.dir, "next") // one name: what a power cut leaves is overwritten
	file, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(next, filepath.Join(f.dir, name)); err != nil {
		return err
	}
	dir, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
