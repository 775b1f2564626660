package trust

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
)

// Why a signed text is not believed. The wrapped message names keys and counts.
var (
	ErrThreshold = errors.New("too few keys have signed")
	ErrSignature = errors.New("signature does not fit the text")
	ErrStranger  = errors.New("not signed by a key that this register knows")
	ErrNotNote   = errors.New("not a signed note")
)

// OpenRelease returns the text of a signed note and the names of the release keys
// that signed it, when at least Threshold distinct ones did. A known key whose
// signature is wrong refuses the whole note; signatures of strangers count for
// nothing. Errors: ErrNotNote, ErrSignature, ErrStranger, ErrThreshold.
func (r Root) OpenRelease(signed []byte) (text []byte, signers []string, err error) {
	return openThreshold(signed, r.Release, r.Threshold)
}

// OpenTicket returns the text of a signed note and the names of the service keys
// that signed it, when at least ServiceThreshold distinct ones did. What the text
// says is for its reader to check (keys/ticket). Errors as OpenRelease's.
func (r Root) OpenTicket(signed []byte) (text []byte, signers []string, err error) {
	return openThreshold(signed, r.Service, r.ServiceThreshold)
}

func openThreshold(signed []byte, known []note.Verifier, threshold int) (text []byte, signers []string, err error) {
	n, err := open(signed, known)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range n.Sigs {
		signers = append(signers, s.Name)
	}
	if threshold < 1 || len(signers) < threshold {
		return nil, nil, fmt.Errorf("%w: %d of the %d needed", ErrThreshold, len(signers), threshold)
	}
	return []byte(n.Text), signers, nil
}

// OpenStore returns the text of a signed note that the store key has signed.
// Errors: ErrNotNote, ErrSignature, ErrStranger.
func (r Root) OpenStore(signed []byte) (text []byte, err error) {
	if r.Store == nil {
		return nil, ErrStranger
	}
	n, err := open(signed, []note.Verifier{r.Store})
	if err != nil {
		return nil, err
	}
	return []byte(n.Text), nil
}

// open checks a note against the given keys. note.Open drops repeated signatures
// of one key, so that len(Sigs) counts distinct keys.
func open(signed []byte, known []note.Verifier) (*note.Note, error) {
	n, err := note.Open(signed, note.VerifierList(known...))
	var stranger *note.UnverifiedNoteError
	var wrong *note.InvalidSignatureError
	switch {
	case errors.As(err, &stranger):
		return nil, ErrStranger
	case errors.As(err, &wrong):
		return nil, fmt.Errorf("%w: key %s", ErrSignature, wrong.Name)
	case err != nil:
		return nil, fmt.Errorf("%w: %v", ErrNotNote, err)
	}
	return n, nil
}
