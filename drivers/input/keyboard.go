package input

import "fmt"

// Layout names the keyboard layout a device was set to. Scanners that type are set to one; the wrong choice turns - into =.
type Layout string

// The layouts in use at Japanese counters.
const (
	US  Layout = "us"
	JIS Layout = "jis"
)

// Key and button codes used outside the tables.
const (
	keyEnter      = 28
	keyKPEnter    = 96
	keyTab        = 15
	keyBackspace  = 14
	keyLeftShift  = 42
	keyRightShift = 54
	keyLeftCtrl   = 29
	keyRightCtrl  = 97
	keyLeftAlt    = 56
	keyRightAlt   = 100
	key1          = 2
	keyA          = 30
)

// Typist turns the key events of one keyboard into characters. The zero value is not usable: see NewTypist.
//
// Caps Lock and Num Lock are ignored on purpose: a scanner sends the keys for a host with the first off and the second on.
// Letters with Control or Alt held give nothing, so that no control character is made from a key.
type Typist struct {
	plain, shifted map[uint16]rune
	held           map[uint16]bool
}

// NewTypist knows the layouts above and refuses others.
func NewTypist(l Layout) (*Typist, error) {
	t := &Typist{held: map[uint16]bool{}}
	switch l {
	case US:
		t.plain, t.shifted = usKeys()
	case JIS:
		t.plain, t.shifted = jisKeys()
	default:
		return nil, fmt.Errorf("choosing keyboard layout: %q is unknown", l)
	}
	return t, nil
}

// Key takes one event. ok is true when it typed r: a printable character, '\n' (Enter), '\t' or '\b'. Auto-repeat types nothing.
func (t *Typist) Key(e Event) (r rune, ok bool) {
	if e.Type == Syn && e.Code == SynDropped {
		clear(t.held)
		return 0, false
	}
	if e.Type != Key {
		return 0, false
	}
	switch e.Code {
	case keyLeftShift, keyRightShift, keyLeftCtrl, keyRightCtrl, keyLeftAlt, keyRightAlt:
		t.held[e.Code] = e.Value != 0
		return 0, false
	}
	if e.Value != 1 || t.held[keyLeftCtrl] || t.held[keyRightCtrl] || t.held[keyLeftAlt] || t.held[keyRightAlt] {
		return 0, false
	}
	set := t.plain
	if t.held[keyLeftShift] || t.held[keyRightShift] {
		set = t.shifted
	}
	r, ok = set[e.Code]
	return r, ok
}

// row gives consecutive key codes to the characters of s.
func row(m map[uint16]rune, code uint16, s string) {
	for _, r := range s {
		m[code] = r
		code++
	}
}

// both fills what every layout shares: letters, the number pad and the keys that end or edit.
func both() (plain, shifted map[uint16]rune) {
	plain, shifted = map[uint16]rune{}, map[uint16]rune{}
	for code, s := range map[uint16]string{16: "qwertyuiop", 30: "asdfghjkl", 44: "zxcvbnm", 2: "1234567890"} {
		row(plain, code, s)
	}
	for code, s := range map[uint16]string{16: "QWERTYUIOP", 30: "ASDFGHJKL", 44: "ZXCVBNM"} {
		row(shifted, code, s)
	}
	for _, m := range []map[uint16]rune{plain, shifted} {
		row(m, 71, "789-456+1230.")
		m[55], m[98] = '*', '/'
		m[57] = ' '
		m[keyEnter], m[keyKPEnter], m[keyTab], m[keyBackspace] = '\n', '\n', '\t', '\b'
	}
	return plain, shifted
}

func usKeys() (plain, shifted map[uint16]rune) {
	plain, shifted = both()
	row(plain, 12, "-=")
	row(plain, 26, "[]")
	row(plain, 39, ";'`")
	plain[43], plain[86] = '\\', '\\'
	row(plain, 51, ",./")
	row(shifted, 2, "!@#$%^&*()_+")
	row(shifted, 26, "{}")
	row(shifted, 39, ":\"~")
	shifted[43], shifted[86] = '|', '|'
	row(shifted, 51, "<>?")
	return plain, shifted
}

// jisKeys is JIS X 6002 as a 106/109-key keyboard has it. The yen key (124) and the ro key (89) both stand for the backslash.
func jisKeys() (plain, shifted map[uint16]rune) {
	plain, shifted = both()
	row(plain, 12, "-^")
	row(plain, 26, "@[")
	row(plain, 39, ";:")
	plain[43], plain[124], plain[89] = ']', '\\', '\\'
	row(plain, 51, ",./")
	row(shifted, 2, "!\"#$%&'()")
	row(shifted, 12, "=~")
	row(shifted, 26, "`{")
	row(shifted, 39, "+*")
	shifted[43], shifted[124], shifted[89] = '}', '|', '_'
	row(shifted, 51, "<>?")
	return plain, shifted
}
