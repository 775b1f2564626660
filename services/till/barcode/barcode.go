// Package barcode reads the numbers that scanners and fingers send: JAN-13, JAN-8, UPC-A, the shop's own codes, and short numbers typed by hand.
//
// It is not a catalogue: it says what kind of number something is and whether its check digit is right, never what it costs. The rule that
// keeps it small: a number has exactly one form under which a catalogue may hold it (GTIN in the shortest of 8 or 13 digits), and everything
// else is refused with the reason.
package barcode

import (
	"errors"
	"fmt"
)

// Kind of a number.
type Kind string

const (
	JAN13   Kind = "jan13"    // EAN-13 too; UPC-A becomes one by a leading zero
	JAN8    Kind = "jan8"     // EAN-8
	InStore Kind = "in-store" // prefix 02 or 20 … 29: item and price or weight in a layout of the shop's own
	Number  Kind = "number"   // up to six digits: the shop's own number of an article (PLU)
)

// Code is a number that was understood.
type Code struct {
	Kind Kind
	Text string // digits only; numbers of the shop with leading zeros, six digits
}

// Why a text is not a code. The sentences belong to whoever shows them.
var (
	ErrEmpty = errors.New("nothing was read")
	ErrChars = errors.New("not only digits")
	ErrSize  = errors.New("no kind of code has this many digits")
	ErrCheck = errors.New("the check digit is wrong: read it again")
)

// NumberDigits is the length of the shop's own numbers.
const NumberDigits = 6

// Parse reads what a scanner sent or a person typed.
func Parse(text string) (Code, error) {
	if text == "" {
		return Code{}, ErrEmpty
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return Code{}, fmt.Errorf("reading a code: %w", ErrChars)
		}
	}
	switch n := len(text); {
	case n <= NumberDigits:
		return Code{Number, pad(text)}, nil
	case n != 8 && n != 12 && n != 13:
		return Code{}, fmt.Errorf("reading a code of %d digits: %w", n, ErrSize)
	}
	if !Valid(text) {
		return Code{}, fmt.Errorf("reading a code: %w", ErrCheck)
	}
	switch len(text) {
	case 8:
		return Code{JAN8, text}, nil
	case 12:
		text = "0" + text
	}
	if inStore(text) {
		return Code{InStore, text}, nil
	}
	return Code{JAN13, text}, nil
}

func pad(text string) string {
	const zeros = "000000"
	return zeros[len(text):] + text
}

// inStore: prefixes 02 and 20 … 29 are left to each shop by GS1.
func inStore(jan13 string) bool { return jan13[0] == '2' || jan13[:2] == "02" }

// Valid says whether the last digit is the check digit of those before it. Digits only.
func Valid(digits string) bool {
	if len(digits) < 2 {
		return false
	}
	last := len(digits) - 1
	return digits[last] == Check(digits[:last])
}

// Check computes the check digit of a GTIN without its last digit: from the right with weights 3, 1, 3 …, up to the next ten
// (GS1 General Specifications 7.9).
func Check(digits string) byte {
	sum, weight := 0, 3
	for i := len(digits) - 1; i >= 0; i-- {
		sum += int(digits[i]-'0') * weight
		weight = 4 - weight
	}
	return byte('0' + (10-sum%10)%10)
}
