package checkpoint

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Device is what a device key says about itself when a log begins: whose it is and which log it answers for. It is
// signed by that same key; who wants to rely on it knows the key's fingerprint from elsewhere.
type Device struct {
	Origin string
	Key    string // note verifier key, named choba/<register>/device
}

// Session is what the device key says about the key of one session: from this tree on, checkpoints of this log are
// signed by Key. A session is one run of the journal; the key lives in its memory only.
type Session struct {
	Origin string
	Number uint64    // from 1, without gaps
	Boot   string    // as in the entries of the session
	Size   uint64    // of the tree when the session began
	Root   tlog.Hash // of that tree
	Key    string    // note verifier key, named as the origin
}

// The first lines of the two statements.
const (
	deviceTitle  = "choba journal device 1"
	sessionTitle = "choba journal session 1"
)

// SignDevice gives the device key's certificate for itself.
func SignDevice(d Device, signer note.Signer) ([]byte, error) {
	text := deviceTitle + "\norigin " + d.Origin + "\nkey " + d.Key + "\n"
	return sign(text, signer)
}

// OpenDevice verifies a device key's certificate for itself.
func OpenDevice(signed []byte) (Device, error) {
	d, err := openDevice(signed)
	if err != nil {
		return Device{}, fmt.Errorf("opening a device certificate: %w", err)
	}
	return d, nil
}

func openDevice(signed []byte) (Device, error) {
	text, _, _ := strings.Cut(string(signed), "\n\n")
	v, err := fields(text+"\n", deviceTitle, "origin", "key")
	if err != nil {
		return Device{}, err
	}
	d := Device{Origin: v[0], Key: v[1]}
	key, err := note.NewVerifier(d.Key)
	if err != nil {
		return Device{}, err
	}
	signedText, err := open(signed, key)
	if err != nil {
		return Device{}, err
	}
	if signedText != text+"\n" {
		return Device{}, errors.New("the signed text is not the one that was read")
	}
	if r := Register(d.Origin); r == "" || key.Name() != DeviceName(r) {
		return Device{}, fmt.Errorf("the key of %q does not answer for the log %q", key.Name(), d.Origin)
	}
	return d, nil
}

// SignSession gives the device key's certificate for a session's key.
func SignSession(s Session, device note.Signer) ([]byte, error) {
	text := fmt.Sprintf("%s\norigin %s\nsession %d\nboot %s\nsize %d\nroot %s\nkey %s\n",
		sessionTitle, s.Origin, s.Number, s.Boot, s.Size, s.Root, s.Key)
	return sign(text, device)
}

// OpenSession verifies a session's certificate with the device key.
func OpenSession(signed []byte, device note.Verifier) (Session, error) {
	s, err := openSession(signed, device)
	if err != nil {
		return Session{}, fmt.Errorf("opening a session certificate: %w", err)
	}
	return s, nil
}

func openSession(signed []byte, device note.Verifier) (Session, error) {
	text, err := open(signed, device)
	if err != nil {
		return Session{}, err
	}
	v, err := fields(text, sessionTitle, "origin", "session", "boot", "size", "root", "key")
	if err != nil {
		return Session{}, err
	}
	s := Session{Origin: v[0], Boot: v[2], Key: v[5]}
	if s.Number, err = number(v[1]); err != nil || s.Number == 0 {
		return Session{}, errors.New("its number is malformed")
	}
	if s.Size, err = number(v[3]); err != nil {
		return Session{}, errors.New("its size is malformed")
	}
	if s.Root, err = tlog.ParseHash(v[4]); err != nil || s.Root.String() != v[4] {
		return Session{}, errors.New("its root is malformed")
	}
	key, err := note.NewVerifier(s.Key)
	if err != nil {
		return Session{}, err
	}
	if key.Name() != s.Origin || device.Name() != DeviceName(Register(s.Origin)) {
		return Session{}, fmt.Errorf("%q does not vouch for %q in the log %q", device.Name(), key.Name(), s.Origin)
	}
	return s, nil
}

func sign(text string, signer note.Signer) ([]byte, error) {
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	return signed, nil
}

// fields reads a title line and then exactly the named lines, "name value" each.
func fields(text, title string, names ...string) ([]string, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != len(names)+2 || lines[0] != title || lines[len(lines)-1] != "" {
		return nil, fmt.Errorf("not a %q", title)
	}
	values := make([]string, len(names))
	for i, name := range names {
		value, ok := strings.CutPrefix(lines[i+1], name+" ")
		if !ok || value == "" || strings.ContainsAny(value, " \t\r") {
			return nil, fmt.Errorf("line %d is not %q and one value", i+2, name)
		}
		values[i] = value
	}
	return values, nil
}

func number(text string) (uint64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != text {
		return 0, errors.New("not a number")
	}
	return uint64(n), nil
}
