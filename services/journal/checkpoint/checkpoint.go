// Package checkpoint is the journal's signed statements: the checkpoint over the tree (C2SP tlog-checkpoint in a
// signed note), and the certificates by which a device key vouches for itself and for the key of a session.
//
// Writer and reader are both here. All of them are signed notes (golang.org/x/mod/sumdb/note, Ed25519), so that
// other people's tools read them. It keeps no keys and reads no clock or file. The rule that keeps it small: text
// and signatures, nothing about entries or storage.
package checkpoint

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// maxNote bounds every note that is parsed here.
const maxNote = 8 << 10

// Tree is what a checkpoint says: the log of this origin has Size entries, and this is their root.
type Tree struct {
	Origin string
	Size   uint64
	Root   tlog.Hash
}

// Text is the statement that is signed: origin, size and root, a line each.
func (t Tree) Text() string {
	return t.Origin + "\n" + strconv.FormatUint(t.Size, 10) + "\n" + t.Root.String() + "\n"
}

// Sign gives the signed note. The signer's name must be the origin (C2SP tlog-checkpoint).
func Sign(t Tree, signer note.Signer) ([]byte, error) {
	if signer.Name() != t.Origin {
		return nil, fmt.Errorf("signing a checkpoint: the key is for %q, the log is %q", signer.Name(), t.Origin)
	}
	signed, err := note.Sign(&note.Note{Text: t.Text()}, signer)
	if err != nil {
		return nil, fmt.Errorf("signing a checkpoint: %w", err)
	}
	return signed, nil
}

// Open verifies a signed checkpoint with the log's key. Signatures by others (cosignatures of witnesses) may stand
// beside the log's own and are not looked at.
func Open(signed []byte, key note.Verifier) (Tree, error) {
	text, err := open(signed, key)
	if err != nil {
		return Tree{}, fmt.Errorf("opening a checkpoint: %w", err)
	}
	t, err := parse(text)
	if err != nil {
		return Tree{}, fmt.Errorf("opening a checkpoint: %w", err)
	}
	if t.Origin != key.Name() {
		return Tree{}, fmt.Errorf("opening a checkpoint: it is of the log %q, want %q", t.Origin, key.Name())
	}
	return t, nil
}

// Read gives what a signed checkpoint says without looking at its signatures: for one that is only compared with
// what was verified otherwise.
func Read(signed []byte) (Tree, error) {
	text, _, ok := strings.Cut(string(signed), "\n\n")
	if !ok || len(signed) > maxNote {
		return Tree{}, errors.New("reading a checkpoint: not a signed note")
	}
	t, err := parse(text + "\n")
	if err != nil {
		return Tree{}, fmt.Errorf("reading a checkpoint: %w", err)
	}
	return t, nil
}

func open(signed []byte, key note.Verifier) (string, error) {
	if len(signed) > maxNote {
		return "", errors.New("longer than a note may be")
	}
	n, err := note.Open(signed, note.VerifierList(key))
	if err != nil {
		return "", err
	}
	// The note package takes a signature whose last base64 digit carries idle bits. Here one note has one spelling.
	_, signatures, _ := strings.Cut(strings.TrimPrefix(string(signed), n.Text), "\n")
	for line := range strings.Lines(signatures) {
		line = strings.TrimSuffix(line, "\n")
		if _, err := base64.StdEncoding.Strict().DecodeString(line[strings.LastIndexByte(line, ' ')+1:]); err != nil {
			return "", errors.New("a signature is not in the one spelling that it has")
		}
	}
	return n.Text, nil
}

func parse(text string) (Tree, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] == "" {
		return Tree{}, errors.New("want three lines: origin, size, root")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return Tree{}, errors.New("the second line is not a size")
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return Tree{}, errors.New("the third line is not a hash")
	}
	return Tree{Origin: lines[0], Size: uint64(size), Root: tlog.Hash(root)}, nil
}
