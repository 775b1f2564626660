package printer

import (
	"fmt"
	"strings"
)

// Token is one command or one letter as a printer takes it from its buffer.
type Token struct {
	// Name is the command's name ("ESC @", "GS v 0"), "text", "LF", or "junk".
	Name string
	// Bytes are all of it.
	Bytes []byte
	// Data are its parameters, or the bytes of one letter.
	Data []byte
}

func (t Token) String() string {
	if len(t.Bytes) > 24 {
		return fmt.Sprintf("%-10s % x … (%d bytes)", t.Name, t.Bytes[:24], len(t.Bytes))
	}
	return fmt.Sprintf("%-10s % x", t.Name, t.Bytes)
}

// Tokenizer cuts a byte stream into tokens. It needs no more than the bytes of
// one token at a time and never fails: what it does not know is junk.
type Tokenizer struct {
	held  []byte
	want  int // bytes of the token at the front, once known
	sizes map[[2]byte]int
}

// NewTokenizer returns one at the start of a stream.
func NewTokenizer() *Tokenizer { return &Tokenizer{sizes: fixed()} }

// maxHeld bounds a token: a picture of one paper width and 64 KiB.
const maxHeld = 72*65535 + 16

// Feed takes bytes and calls fn for each whole token. The token's bytes are
// fn's to keep.
func (z *Tokenizer) Feed(b []byte, fn func(Token)) {
	for _, c := range b {
		z.held = append(z.held, c)
		for z.cut(fn) {
		}
	}
}

// Held is how many bytes wait for the rest of their token.
func (z *Tokenizer) Held() int { return len(z.held) }

// cut gives out the token at the front, if it is whole.
func (z *Tokenizer) cut(fn func(Token)) bool {
	if len(z.held) == 0 || len(z.held) < z.want {
		return false
	}
	name, head, size := z.look()
	if z.want = size; size == 0 || len(z.held) < size {
		return false
	}
	z.want = 0
	b := append([]byte(nil), z.held[:size]...)
	z.held = append(z.held[:0], z.held[size:]...)
	fn(Token{Name: name, Bytes: b, Data: b[min(head, size):]})
	return true
}

// look names what is at the front: the length of its name in bytes, and its
// whole size, 0 while that cannot be told.
func (z *Tokenizer) look() (name string, head, size int) {
	h := z.held
	switch h[0] {
	case 0x10, 0x1b, 0x1c, 0x1d:
		if len(h) < 2 {
			return "", 0, 0
		}
		return z.command()
	case 0x0a:
		return "LF", 1, 1
	case 0x0d:
		return "CR", 1, 1
	case 0x09:
		return "HT", 1, 1
	case 0x0c:
		return "FF", 1, 1
	case 0x18:
		return "CAN", 1, 1
	}
	return z.letter()
}

// letter is ASCII, katakana, or Shift-JIS.
func (z *Tokenizer) letter() (name string, head, size int) {
	h := z.held
	switch c := h[0]; {
	case c >= 0x20 && c <= 0x7e, c >= 0xa1 && c <= 0xdf:
		return "text", 0, 1
	case c >= 0x81 && c <= 0x9f, c >= 0xe0 && c <= 0xfc:
		if len(h) < 2 {
			return "", 0, 0
		}
		if t := h[1]; t >= 0x40 && t <= 0xfc && t != 0x7f {
			return "text", 0, 2
		}
	}
	return "junk", 0, 1
}

// fixed are the commands with as many parameters each.
func fixed() map[[2]byte]int {
	m := map[[2]byte]int{}
	add := func(lead byte, parameters int, commands string) {
		for _, c := range []byte(commands) {
			m[[2]byte{lead, c}] = parameters
		}
	}
	add(0x10, 1, "\x04\x05")
	add(0x1b, 0, "@2imv")
	add(0x1b, 1, "3EG-!aJdRtM{ =u\x06")
	add(0x1b, 2, "$\\c")
	add(0x1b, 3, "p")
	add(0x1c, 0, "&.")
	add(0x1c, 1, "C-!W")
	add(0x1c, 2, "S")
	add(0x1d, 1, "!BaIrhwHfb")
	add(0x1d, 2, "LWPe")
	return m
}

// command sizes what begins with DLE, ESC, FS or GS.
func (z *Tokenizer) command() (name string, head, size int) {
	h := z.held
	name = commandName(h[0], h[1])
	if n, ok := z.sizes[[2]byte{h[0], h[1]}]; ok {
		return name, 2, 2 + n
	}
	head, size, ok := z.variable()
	if !ok {
		return "junk", 0, 1
	}
	if h[0] == 0x1d && (h[1] == 0x28 || h[1] == 0x38) && len(h) > 2 {
		name += " " + string(rune(h[2]))
	}
	if h[0] == 0x1d && h[1] == 0x76 {
		name += " 0"
	}
	if size > maxHeld {
		return "junk", 0, 1
	}
	return name, head, size
}

// variable sizes commands whose length is in themselves. size is 0 while it
// cannot be told.
func (z *Tokenizer) variable() (head, size int, ok bool) {
	h := z.held
	at := func(i int) int {
		if i < len(h) {
			return int(h[i])
		}
		return 0
	}
	need := func(n, size int) int {
		if len(h) < n {
			return 0
		}
		return size
	}
	switch [2]byte{h[0], h[1]} {
	case [2]byte{0x1d, 0x56}: // GS V: with a feed when m is a letter
		if m := at(2); m >= 0x41 {
			return 2, need(3, 4), true
		}
		return 2, need(3, 3), true
	case [2]byte{0x1d, 0x76}: // GS v 0 m xL xH yL yH
		return 3, need(8, 8+(at(4)+at(5)<<8)*(at(6)+at(7)<<8)), true
	case [2]byte{0x1d, 0x28}: // GS ( x pL pH
		return 3, need(5, 5+at(3)+at(4)<<8), true
	case [2]byte{0x1d, 0x38}: // GS 8 L p1 to p4
		return 3, need(7, 7+at(3)+at(4)<<8+at(5)<<16+at(6)<<24), true
	case [2]byte{0x1b, 0x2a}: // ESC * m nL nH
		per := 1
		if m := at(2); m == 32 || m == 33 {
			per = 3
		}
		return 2, need(5, 5+per*(at(3)+at(4)<<8)), true
	case [2]byte{0x1d, 0x6b}: // GS k m
		return z.barcode()
	case [2]byte{0x10, 0x14}: // DLE DC4
		if at(2) == 8 {
			return 2, need(3, 10), true
		}
		return 2, need(3, 5), true
	case [2]byte{0x1b, 0x44}: // ESC D … NUL
		for i := 2; i < len(h); i++ {
			if h[i] == 0 || i == 34 {
				return 2, i + 1, true
			}
		}
		return 2, 0, true
	}
	return 0, 0, false
}

// barcode is GS k: an older form that ends with NUL and one with a length.
func (z *Tokenizer) barcode() (head, size int, ok bool) {
	h := z.held
	if len(h) < 4 {
		return 2, 0, true
	}
	if h[2] >= 65 {
		return 2, 4 + int(h[3]), true
	}
	for i := 3; i < len(h); i++ {
		if h[i] == 0 || i == 258 {
			return 2, i + 1, true
		}
	}
	return 2, 0, true
}

func commandName(lead, c byte) string {
	var b strings.Builder
	switch lead {
	case 0x10:
		switch c {
		case 0x04:
			return "DLE EOT"
		case 0x05:
			return "DLE ENQ"
		case 0x14:
			return "DLE DC4"
		}
		b.WriteString("DLE ")
	case 0x1b:
		b.WriteString("ESC ")
	case 0x1c:
		b.WriteString("FS ")
	case 0x1d:
		b.WriteString("GS ")
	}
	if c > 0x20 && c < 0x7f {
		b.WriteByte(c)
	} else {
		fmt.Fprintf(&b, "%02x", c)
	}
	return b.String()
}

// now finds real-time commands in what comes in, wherever they stand: printers
// look for them before anything else, in pictures too.
type now struct{ held []byte }

func (n *now) feed(b []byte, fn func(command []byte)) {
	for _, c := range b {
		n.held = append(n.held, c)
		for len(n.held) > 0 && n.held[0] != 0x10 {
			n.held = n.held[1:]
		}
		if len(n.held) < 2 {
			continue
		}
		size, ok := n.size()
		switch {
		case !ok:
			n.again()
		case size > 0 && len(n.held) >= size:
			fn(n.held[:size])
			n.held = nil
		}
	}
}

// again looks for another DLE behind one that was none.
func (n *now) again() {
	rest := append([]byte(nil), n.held[1:]...)
	n.held = nil
	for i, c := range rest {
		if c == 0x10 {
			n.held = rest[i:]
			return
		}
	}
}

func (n *now) size() (size int, ok bool) {
	switch n.held[1] {
	case 0x04, 0x05:
		return 3, true
	case 0x14:
		if len(n.held) < 3 {
			return 0, true
		}
		switch n.held[2] {
		case 1:
			return 5, true
		case 8:
			return 10, true
		}
	}
	return 0, false
}
