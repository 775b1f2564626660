// Package escpos drives receipt printers that speak ESC/POS: it turns lines
// into bytes, bytes from the printer into states, and follows a piece of paper
// until the printer itself says that it is printed.
//
// It is not a layout of receipts and knows no shop words; it opens nothing (the
// line comes from outside) and it does not decide whether a drawer may be
// opened. The rule that keeps it small: only commands that the paper of a shop
// needs, each used in one place, and no bytes of a caller reach the printer
// other than as printable letters.
//
// Commands are those of Epson's reference for Japanese models with 80 mm paper
// (576 dots, 48 columns of 12 dots); letters go as Shift-JIS.
package escpos

import (
	"errors"
	"fmt"
)

// The paper.
const (
	Columns = 48
	Dots    = 576
)

// Places of a line's text.
const (
	Left = iota
	Center
	Right
)

// Line is one line of paper. A text that does not fit is wrapped; Right is then
// printed whole on the last row or on one of its own.
type Line struct {
	Text, Right      string
	Bold, Wide, Tall bool
	// Align is Left, Center or Right. A line with a Right text is always Left.
	Align int
	// Rule draws a line across the paper instead of text.
	Rule bool
	// Feed is white paper below, in dots, 0 to 255.
	Feed int
}

// Bounds of a job.
const (
	MaxLines = 3000
	MaxText  = 1024
)

var errTooLong = errors.New("too long")

// Paper turns lines into bytes. Its zero value prints the mark of a missing
// letter (〓) for letters that are not in the printer's ROM.
type Paper struct {
	// Font draws letters that the ROM lacks; nil when there is none.
	Font Font
}

// Commands. ESC p sends both times: some printers wait for the second with the
// pulse and would fire it at the next job.
var (
	cmdInit = []byte{
		0x1b, 0x40, // ESC @: start afresh, forget a broken line
		0x1b, 0x52, 0x08, // ESC R: Japan, 0x5C prints ¥
		0x1b, 0x74, 0x01, // ESC t: katakana
		0x1c, 0x43, 0x01, // FS C: Shift-JIS
		0x1d, 0x61, 0xff, // GS a: send every change of state
	}
	cmdCut        = []byte{0x1d, 0x56, 0x42, 0x00}       // GS V: feed, cut all but a point
	cmdPulse      = []byte{0x1b, 0x70, 0x00, 0x19, 0xfa} // ESC p: pin 2, 50 ms on, 500 ms off
	cmdPulseNow   = []byte{0x10, 0x14, 0x01, 0x00, 0x01} // DLE DC4 1: pin 2, 100 ms, even when off line
	cmdAskPrinter = []byte{0x10, 0x04, 0x01}             // DLE EOT 1
	cmdAskOffline = []byte{0x10, 0x04, 0x02}             // DLE EOT 2
	cmdAskError   = []byte{0x10, 0x04, 0x03}             // DLE EOT 3
	cmdAskPaper   = []byte{0x10, 0x04, 0x04}             // DLE EOT 4
	cmdRecover    = []byte{0x10, 0x05, 0x01}             // DLE ENQ 1: go on with the line that failed
	cmdMaker      = []byte{0x1d, 0x49, 0x42}             // GS I B
	cmdModel      = []byte{0x1d, 0x49, 0x43}             // GS I C
)

// cmdMark asks the printer to answer with the id when it has come this far
// (GS ( H, function 48). Its four bytes are 0x20 to 0x7E.
func cmdMark(id [4]byte) []byte {
	return []byte{0x1d, 0x28, 0x48, 0x06, 0x00, 0x30, 0x30, id[0], id[1], id[2], id[3]}
}

// Start is what a printer is sent before the lines of a job.
func (p Paper) Start() []byte { return append([]byte(nil), cmdInit...) }

// Cut is what ends a piece of paper.
func (p Paper) Cut() []byte { return append([]byte(nil), cmdCut...) }

// Check refuses lines that Encode could not print as they were meant.
func Check(lines []Line) error {
	if len(lines) > MaxLines {
		return fmt.Errorf("checking the job: %d lines: %w", len(lines), errTooLong)
	}
	for i, l := range lines {
		switch {
		case len(l.Text) > MaxText || len(l.Right) > MaxText:
			return fmt.Errorf("checking line %d: %w", i+1, errTooLong)
		case l.Feed < 0 || l.Feed > 255:
			return fmt.Errorf("checking line %d: feed of %d dots, want 0 to 255", i+1, l.Feed)
		case l.Align < Left || l.Align > Right:
			return fmt.Errorf("checking line %d: no such alignment", i+1)
		case l.Rule && (l.Text != "" || l.Right != ""):
			return fmt.Errorf("checking line %d: both a rule and a text", i+1)
		}
	}
	return nil
}

// Line encodes one line, complete in itself: it sets what it needs and leaves
// nothing set that the next line would not set again.
func (p Paper) Line(l Line) []byte {
	var b []byte
	switch {
	case l.Rule:
		b = append(b, rule()...)
	default:
		for _, row := range rowsOf(l) {
			b = append(b, p.row(row, l)...)
		}
	}
	if l.Feed > 0 {
		b = append(b, 0x1b, 0x4a, byte(l.Feed)) // ESC J
	}
	return b
}

// row is one physical row of print: letters, and where they stand.
type row struct {
	letters []letter
	align   int
}

// rowsOf breaks a line into rows that fit the paper.
func rowsOf(l Line) []row {
	columns := Columns
	if l.Wide {
		columns /= 2
	}
	text := wrap(letters(l.Text), columns)
	if l.Right == "" {
		rows := make([]row, len(text))
		for i := range text {
			rows[i] = row{text[i], l.Align}
		}
		return rows
	}
	rows := make([]row, 0, len(text)+1)
	for _, t := range text {
		rows = append(rows, row{t, Left})
	}
	right := wrap(letters(l.Right), columns)
	last := &rows[len(rows)-1]
	room := columns - columnsOf(last.letters) - columnsOf(right[0])
	if room >= 1 || room == 0 && len(last.letters) == 0 {
		last.letters = append(append([]letter(nil), last.letters...), spaces(room)...)
		last.letters = append(last.letters, right[0]...)
		right = right[1:]
	} else if len(last.letters) == 0 {
		rows = rows[:len(rows)-1]
	}
	for _, r := range right {
		rows = append(rows, row{append(spaces(columns-columnsOf(r)), r...), Left})
	}
	return rows
}

func spaces(n int) []letter {
	out := make([]letter, n)
	for i := range out {
		out[i] = letterOf(' ')
	}
	return out
}

// Row heights in dots.
const (
	letterHeight = 24
	leading      = 7
)

// row encodes one row: as letters when the ROM has them all, else as a picture.
func (p Paper) row(r row, l Line) []byte {
	if p.Font != nil && lacks(r.letters) {
		return p.picture(r, l)
	}
	height := letterHeight
	if l.Tall {
		height *= 2
	}
	b := []byte{
		0x1b, 0x61, byte(r.align), // ESC a
		0x1b, 0x45, bit(l.Bold, 1), // ESC E
		0x1d, 0x21, bit(l.Wide, 0x10) | bit(l.Tall, 0x01), // GS !
		0x1b, 0x33, byte(height + leading), // ESC 3
	}
	for _, x := range r.letters {
		if x.code == nil {
			x = missing(x.columns)
		}
		b = append(b, x.code...)
	}
	return append(b, 0x0a)
}

// missing keeps the columns that were counted for the letter.
func missing(columns int) letter {
	if columns == 1 {
		return letterOf('?')
	}
	return rom(geta)
}

func lacks(ls []letter) bool {
	for _, l := range ls {
		if l.code == nil {
			return true
		}
	}
	return false
}

func bit(on bool, value byte) byte {
	if on {
		return value
	}
	return 0
}
