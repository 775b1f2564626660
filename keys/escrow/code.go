package escrow

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Code is a recovery key as people read it aloud and type it: eight groups of six
// digits, as BitLocker writes them. A group is 11 times a number of 16 bits, so
// that one wrong digit, or two neighbours swapped, are noticed in their group.
// Its 128 bits are all random.
type Code [16]byte

// The form of a code.
const (
	Groups      = 8
	GroupDigits = 6
	groupCheck  = 11
)

// ErrCode means that a typed code is not one, wherever it was read from.
var ErrCode = errors.New("this is not a recovery code")

func newCode(random io.Reader) (c Code, err error) {
	if _, err := io.ReadFull(random, c[:]); err != nil {
		return Code{}, fmt.Errorf("making a recovery code: %w", err)
	}
	return c, nil
}

// String spells the code: 123456-123456-…
func (c Code) String() string {
	groups := make([]string, Groups)
	for i := range groups {
		groups[i] = fmt.Sprintf("%06d", uint32(binary.BigEndian.Uint16(c[2*i:]))*groupCheck)
	}
	return strings.Join(groups, "-")
}

// ParseCode reads what a person typed. Spaces, hyphens and the wide digits of a
// Japanese keyboard are taken. Errors wrap ErrCode and name the group, from 1.
func ParseCode(typed string) (Code, error) {
	digits, err := plain(typed)
	if err != nil {
		return Code{}, err
	}
	if len(digits) != Groups*GroupDigits {
		return Code{}, fmt.Errorf("%w: it has %d digits, want %d", ErrCode, len(digits), Groups*GroupDigits)
	}
	var c Code
	for i := range Groups {
		n, err := group(digits[i*GroupDigits:][:GroupDigits])
		if err != nil {
			return Code{}, fmt.Errorf("%w (group %d)", err, i+1)
		}
		binary.BigEndian.PutUint16(c[2*i:], n)
	}
	return c, nil
}

// CheckGroup says whether six typed digits can be a group of a code, so that a
// person hears of a slip before typing on. Errors: ErrCode.
func CheckGroup(typed string) error {
	digits, err := plain(typed)
	if err == nil {
		_, err = group(digits)
	}
	return err
}

func group(digits string) (uint16, error) {
	if len(digits) != GroupDigits {
		return 0, fmt.Errorf("%w: a group has %d digits, want %d", ErrCode, len(digits), GroupDigits)
	}
	n := 0
	for _, d := range []byte(digits) {
		n = n*10 + int(d-'0')
	}
	if n%groupCheck != 0 || n/groupCheck > 0xffff {
		return 0, fmt.Errorf("%w: a digit of %s is wrong", ErrCode, digits)
	}
	return uint16(n / groupCheck), nil
}

// plain are the digits of a typed text.
func plain(typed string) (string, error) {
	var out strings.Builder
	for _, r := range typed {
		switch {
		case r >= '0' && r <= '9':
			out.WriteRune(r)
		case r >= '０' && r <= '９':
			out.WriteRune(r - '０' + '0')
		case strings.ContainsRune(" 　\t\r\n-‐ー−－", r):
		default:
			return "", fmt.Errorf("%w: %q is no digit", ErrCode, r)
		}
	}
	return out.String(), nil
}
