// Package ticket is the slip that lets a register do what no single person may: a
// short text that names one action, one register and one nonce which that register
// shows on its screen, signed by enough of the vendor's service keys.
//
//	choba ticket 1
//	action factory-reset
//	register 7K3M-0QZX-…            (8 groups of 4)
//	nonce 4RT9-…                     (5 groups of 4)
//	not-after 2026-12-01T00:00:00Z
//
// It is not a permission by itself: whoever acts compares register, nonce and time
// with its own. It signs nothing and holds no key; keys/trust says whose signatures
// count.
//
// The rule that keeps it small: one spelling per ticket; what Encode would not
// write, Parse refuses.
package ticket

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Action is what a ticket allows.
type Action string

// The actions. A ticket for any other is refused.
const (
	FactoryReset Action = "factory-reset"
	Rebind       Action = "re-bind"
)

// Actions returns all of them.
func Actions() []Action { return []Action{FactoryReset, Rebind} }

// Limits of a ticket. MaxSigned bounds a signed ticket: nothing longer is looked at.
const (
	MaxSigned      = 8 << 10
	RegisterGroups = 8
	NonceGroups    = 5
	groupLetters   = 4
)

// Ticket is a parsed ticket. The zero Ticket allows nothing.
type Ticket struct {
	Action   Action
	Register string    // as Name writes it
	Nonce    string    // as Nonce writes it
	NotAfter time.Time // whole seconds, UTC
}

// Why a ticket does not serve. errors.Is finds them.
var (
	ErrForm     = errors.New("not a ticket")
	ErrAction   = errors.New("the ticket is for another action")
	ErrRegister = errors.New("the ticket is for another register")
	ErrNonce    = errors.New("the ticket answers another request of this register")
	ErrExpired  = errors.New("the ticket has expired")
)

const (
	firstLine = "choba ticket 1"
	letters   = "0123456789ABCDEFGHJKMNPQRSTVWXYZ" // Crockford: no I, L, O, U
)

// Name is how people write down an identity: 160 bits of its SHA-256. It is no secret.
func Name(identity []byte) string { return groups("choba register\n", identity, RegisterGroups) }

// Nonce is how people write down what makes a request the only one of its kind.
func Nonce(seed []byte) string { return groups("choba nonce\n", seed, NonceGroups) }

// groups writes n groups of letters out of a hash that is bound to its purpose.
func groups(purpose string, data []byte, n int) string {
	sum := sha256.Sum256(append([]byte(purpose), data...))
	var b strings.Builder
	for i := range n * groupLetters {
		if i > 0 && i%groupLetters == 0 {
			b.WriteByte('-')
		}
		bit := i * 5
		v := uint16(sum[bit/8])<<8 | uint16(sum[bit/8+1])
		b.WriteByte(letters[v>>(11-bit%8)&31])
	}
	return b.String()
}

// Encode writes the ticket in its only spelling.
func (t Ticket) Encode() ([]byte, error) {
	text := t.text()
	if _, err := Parse(text); err != nil {
		return nil, fmt.Errorf("writing ticket: %w", err)
	}
	return text, nil
}

func (t Ticket) text() []byte {
	return fmt.Appendf(nil, "%s\naction %s\nregister %s\nnonce %s\nnot-after %s\n",
		firstLine, t.Action, t.Register, t.Nonce, t.NotAfter.UTC().Format(time.RFC3339))
}

// Parse reads a ticket's text. Every error wraps ErrForm.
func Parse(text []byte) (Ticket, error) {
	t, err := parse(string(text))
	if err != nil {
		return Ticket{}, fmt.Errorf("%w: %w", ErrForm, err)
	}
	return t, nil
}

func parse(text string) (t Ticket, err error) {
	if len(text) > MaxSigned {
		return t, fmt.Errorf("%d bytes, at most %d", len(text), MaxSigned)
	}
	lines := strings.Split(text, "\n")
	if len(lines) != 6 || lines[0] != firstLine {
		return t, errors.New("its lines are not those of a ticket")
	}
	values := make([]string, 4)
	for i, word := range []string{"action ", "register ", "nonce ", "not-after "} {
		v, ok := strings.CutPrefix(lines[i+1], word)
		if !ok {
			return t, fmt.Errorf("line %d does not say %s", i+2, word)
		}
		values[i] = v
	}
	t = Ticket{Action: Action(values[0]), Register: values[1], Nonce: values[2]}
	if t.NotAfter, err = time.Parse(time.RFC3339, values[3]); err != nil {
		return t, errors.New("not-after is no time")
	}
	t.NotAfter = t.NotAfter.UTC()
	if t.Action != FactoryReset && t.Action != Rebind {
		return t, fmt.Errorf("unknown action %.40q", t.Action)
	}
	if !grouped(t.Register, RegisterGroups) || !grouped(t.Nonce, NonceGroups) {
		return t, errors.New("register or nonce is misspelt")
	}
	if string(t.text()) != text {
		return t, errors.New("not in its canonical spelling")
	}
	return t, nil
}

func grouped(s string, n int) bool {
	parts := strings.Split(s, "-")
	if len(parts) != n {
		return false
	}
	for _, p := range parts {
		if len(p) != groupLetters || strings.Trim(p, letters) != "" {
			return false
		}
	}
	return true
}

// Check says whether the ticket is for this action, register and request, now.
func (t Ticket) Check(a Action, register, nonce string, now time.Time) error {
	switch {
	case t.Action != a || a == "":
		return fmt.Errorf("%w: %q", ErrAction, t.Action)
	case t.Register != register || register == "":
		return fmt.Errorf("%w: %s", ErrRegister, t.Register)
	case t.Nonce != nonce || nonce == "":
		return fmt.Errorf("%w: %s", ErrNonce, t.Nonce)
	case now.After(t.NotAfter):
		return fmt.Errorf("%w: it was good until %s", ErrExpired, t.NotAfter.Format(time.RFC3339))
	}
	return nil
}

// Opener is whoever knows the service keys: keys/trust.Root is one.
type Opener interface {
	OpenTicket(signed []byte) (text []byte, signers []string, err error)
}

// Open reads a signed ticket. The errors are those of the opener and ErrForm.
func Open(by Opener, signed []byte) (t Ticket, signers []string, err error) {
	if len(signed) > MaxSigned {
		return t, nil, fmt.Errorf("%w: %d bytes, at most %d", ErrForm, len(signed), MaxSigned)
	}
	text, signers, err := by.OpenTicket(signed)
	if err != nil {
		return t, nil, fmt.Errorf("opening ticket: %w", err)
	}
	if t, err = Parse(text); err != nil {
		return t, nil, err
	}
	return t, signers, nil
}
