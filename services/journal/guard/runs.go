package guard

import (
	"slices"
	"unicode"
)

// run is digits in a row and what stands around them.
type run struct {
	digits []byte // values 0 … 9
	group  int    // runs joined by single separators have the same group
	before rune   // 0 at the beginning of the text
}

// suspicious says whether a text holds what looks like a card number. code: the text is a field for article codes.
func suspicious(text string, code bool) bool {
	runes := []rune(text)
	if len(runes) < 13 {
		return false
	}
	runs := split(runes)
	for i, r := range runs {
		if alone(r, code) || grouped(runs[i:]) {
			return true
		}
	}
	return false
}

// split gives the runs of digits, without those that are part of a hexadecimal name.
func split(runes []rune) []run {
	var runs []run
	group, end := 0, -2 // end: where the last run ended
	for i := 0; i < len(runes); {
		if n := hexName(runes, i); n > 0 {
			i += n
			continue
		}
		if digit(runes[i]) < 0 {
			i++
			continue
		}
		r := run{}
		if i > 0 {
			r.before = runes[i-1]
		}
		begin := i
		for ; i < len(runes) && digit(runes[i]) >= 0; i++ {
			r.digits = append(r.digits, byte(digit(runes[i])))
		}
		if begin != end+1 || !separates(r.before) {
			group++
		}
		r.group, end = group, i
		runs = append(runs, r)
	}
	return runs
}

// hexName gives the length of the hexadecimal name that begins at i, 0 when none does: lower case, at least one
// letter, at least 16 characters, and nothing that could belong to it on either side.
func hexName(runes []rune, i int) int {
	if i > 0 && (wordy(runes[i-1]) || !hexDigit(runes[i])) {
		return 0
	}
	n, letters, hyphens := 0, 0, []int(nil)
	for ; i+n < len(runes); n++ {
		switch r := runes[i+n]; {
		case r == '-':
			hyphens = append(hyphens, n)
			continue
		case !hexDigit(r):
			if wordy(r) {
				return 0
			}
		case r >= 'a':
			letters++
			continue
		default:
			continue
		}
		break
	}
	uuid := n == 36 && slices.Equal(hyphens, []int{8, 13, 18, 23})
	if letters == 0 || !uuid && (n < 16 || len(hyphens) > 0) {
		return 0
	}
	return n
}

func hexDigit(r rune) bool { return '0' <= r && r <= '9' || 'a' <= r && r <= 'f' }

func wordy(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' }

// alone judges a run by itself.
func alone(r run, code bool) bool {
	if !card(r.digits) {
		return false
	}
	if len(r.digits) == 13 {
		if r.before == 'T' { // a qualified invoice issuer's number
			return false
		}
		if code && ean13(r.digits) {
			return false
		}
	}
	return true
}

// shapes are the ways in which cards print their numbers.
var shapes = [][]int{
	{4, 4, 4, 4}, {4, 4, 4, 1}, {4, 4, 4, 2}, {4, 4, 4, 3},
	{4, 4, 4, 4, 1}, {4, 4, 4, 4, 2}, {4, 4, 4, 4, 3},
	{4, 6, 4}, {4, 6, 5}, {8, 8}, {6, 13}, {6, 10},
}

// grouped judges the runs that begin here and are printed together.
func grouped(runs []run) bool {
	for _, shape := range shapes {
		if len(runs) < len(shape) {
			continue
		}
		var digits []byte
		fits := true
		for i, n := range shape {
			fits = fits && len(runs[i].digits) == n && runs[i].group == runs[0].group
			digits = append(digits, runs[i].digits...)
		}
		if fits && card(digits) {
			return true
		}
	}
	return false
}

// card says whether digits have the beginning and length of a payment network's and a right check digit.
func card(digits []byte) bool { return network(digits) && luhn(digits) }

// network knows the ranges by their first digits: 13 to 19 long where a network has issued, or may issue, all of
// them. Sources: the networks' public range lists, ISO/IEC 7812.
func network(digits []byte) bool {
	n := len(digits)
	if n < 13 || n > 19 {
		return false
	}
	p2, p3, p4 := prefix(digits, 2), prefix(digits, 3), prefix(digits, 4)
	switch digits[0] {
	case 4, 6: // Visa; Discover, UnionPay, Maestro, RuPay
		return true
	case 5: // Mastercard, Maestro
		return p2 <= 58
	case 2: // Mastercard 2-series, Mir
		return n == 16 && p4 >= 2221 && p4 <= 2720 || n >= 16 && p4 >= 2200 && p4 <= 2204
	case 3: // American Express; JCB; Diners Club
		return n == 15 && (p2 == 34 || p2 == 37) ||
			n >= 16 && p4 >= 3528 && p4 <= 3589 ||
			n >= 14 && (p3 >= 300 && p3 <= 305 || p4 == 3095 || p2 == 36 || p2 == 38 || p2 == 39)
	case 8: // RuPay, UnionPay
		return n >= 16 && (p2 == 81 || p2 == 82)
	case 9: // Troy
		return n == 16 && p4 == 9792
	}
	return false
}

func prefix(digits []byte, n int) int {
	v := 0
	for _, d := range digits[:n] {
		v = 10*v + int(d)
	}
	return v
}

func luhn(digits []byte) bool {
	sum := 0
	for i := range digits {
		d := int(digits[len(digits)-1-i])
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

func ean13(digits []byte) bool {
	sum := 0
	for i, d := range digits {
		if i%2 == 1 {
			sum += 3 * int(d)
		} else {
			sum += int(d)
		}
	}
	return sum%10 == 0
}
