// Package guard finds what looks like a payment card's number, so that none gets into the log: what is in the log
// cannot be taken out again.
//
// What is refused: 13 to 19 digits in a row whose check digit is right by Luhn's rule (ISO/IEC 7812-1 annex B) and
// whose beginning and length belong to a payment network, in any string, number or name; also in groups the way
// cards print them (4-4-4-4, 4-6-5 …) with single spaces or hyphens between, and in any script's digits.
//
// What is let through although its digits look so, because a shop's own numbers would otherwise stop one sale in ten:
//
//   - numbers outside the networks' ranges: time in milliseconds or nanoseconds, dates, receipt numbers;
//   - EAN-13/JAN codes with a right check digit in fields named "code" or "jan" (Japanese ones begin with 45 and 49,
//     like a Visa card; no network has issued 13 digits for decades);
//   - "T" and 13 digits, the number of a qualified invoice issuer, in any text;
//   - hexadecimal names: lower case, with letters, in one piece (a digest) or in the form of a UUID.
//
// Known holes, so that nobody relies on more: it guards against accidents, not against a service that disguises a
// number (cut in two, in letters, in base64, inside hexadecimal); runs of more than 19 digits are not searched; UATP
// (15 digits, beginning with 1) is not among the networks.
//
// It is not a parser of cards and names no network in its answer. The rule that keeps it small: one question, yes
// or no, and where; it never repeats a digit.
package guard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
)

// Found is the refusal: it says where, and not what.
type Found struct{ Where string }

func (f *Found) Error() string {
	return fmt.Sprintf("%s holds what looks like a payment card number; the journal never stores one", f.Where)
}

// Text looks through one text. where names it in the error.
func Text(where, text string) error {
	if suspicious(text, false) {
		return &Found{where}
	}
	return nil
}

// JSON looks through every name, string and number of a JSON value, which must be valid.
func JSON(where string, text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	w := walk{d: d}
	if err := w.value(where, ""); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("%s: not one JSON value", where)
	}
	return nil
}

type walk struct{ d *json.Decoder }

// value looks through the next value, which stands at where under the given field name.
func (w walk) value(where, field string) error {
	token, err := w.d.Token()
	if err != nil {
		return fmt.Errorf("%s: not JSON", where)
	}
	switch v := token.(type) {
	case string:
		if suspicious(v, isCodeField(field)) {
			return &Found{where}
		}
	case json.Number:
		if suspicious(plain(v), isCodeField(field)) {
			return &Found{where}
		}
	case json.Delim:
		return w.inside(v, where, field)
	}
	return nil
}

// inside looks through an object or array. The elements of an array stand under the array's own name.
func (w walk) inside(open json.Delim, where, field string) error {
	for i := 0; w.d.More(); i++ {
		at, name := where+"["+strconv.Itoa(i)+"]", field
		if open == '{' {
			token, err := w.d.Token()
			if err != nil {
				return fmt.Errorf("%s: not JSON", where)
			}
			name = token.(string) // the decoder gives nothing else here
			if suspicious(name, false) {
				return &Found{where + ", a name in it,"}
			}
			at = where + "." + short(name)
		}
		if err := w.value(at, name); err != nil {
			return err
		}
	}
	_, err := w.d.Token()
	return err
}

func short(name string) string {
	if r := []rune(name); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return name
}

func isCodeField(name string) bool { return name == "code" || name == "jan" }

// plain writes a number without fraction and exponent where it has none: 4.1e15 is a row of digits too.
func plain(n json.Number) string {
	s := n.String()
	if !strings.ContainsAny(s, ".eE") {
		return s
	}
	f, err := n.Float64()
	if err != nil || f != float64(int64(f)) {
		return s
	}
	return strconv.FormatInt(int64(f), 10)
}

// digit gives the value of a decimal digit of any script, -1 for anything else. Unicode keeps the ten digits of a
// script together and in order.
func digit(r rune) int {
	if '0' <= r && r <= '9' {
		return int(r - '0')
	}
	if r < 0x80 || !unicode.Is(unicode.Nd, r) {
		return -1
	}
	n := 0
	for unicode.Is(unicode.Nd, r-1) {
		r--
		n++
	}
	return n % 10
}

// separates says whether r may stand between the groups of a printed card number.
func separates(r rune) bool {
	return unicode.Is(unicode.Zs, r) || unicode.Is(unicode.Pd, r) || r == '\u2212' // minus
}
