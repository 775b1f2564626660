// Package face is what recovery shows and how it is touched: pages with a title,
// reasons, a countdown, a progress bar, buttons or a keypad, in Japanese and English,
// in the look of the register's own screens.
//
// It decides nothing: which page comes next is recovery/guide's. It is not the
// register's screen service either: that one lives in a slot, which may be what
// failed. The rule that keeps it small: a page is a value, Draw a pure function of it;
// everything that can be touched can also be reached by keys.
package face

import (
	"image"

	"github.com/choba-os/choba/drivers/display/paint"
	"github.com/choba-os/choba/recovery/explain"
)

// Words is a text in both tongues.
type Words = explain.Words

// Say makes Words, Japanese first as on the screen.
func Say(japanese, english string) Words { return Words{Japanese: japanese, English: english} }

// Tone is the colour of a page or a row.
type Tone uint8

// The tones.
const (
	Calm  Tone = iota // teal: all is well, or under way
	Alarm             // red: something failed, or will be lost
	Care              // amber: a person should look
	Quiet             // grey: neither here nor there
)

// Page is all that is on a screen. The zero Page is an empty one.
type Page struct {
	Tone        Tone
	Icon        paint.Icon
	Title, Lead Words
	Notes       []Note
	Foot        *Note  // below the notes, always in sight
	Facts       []Fact // numbers that are read out or copied
	Count       *Count
	Bar         *Bar
	Field       *Field
	Menu        bool // the buttons are the page
	Buttons     []Button

	Fill *paint.Color // a test picture of one colour
	Dots []Dot        // where fingers were, for the test of the input
	Keys string       // what keys typed, for the same
}

// Note is one row: a sentence, and small behind it what a technician wants to know.
type Note struct {
	Tone   Tone
	Icon   paint.Icon
	Words  Words
	Detail string
}

// Fact is a value with its name.
type Fact struct {
	Name  Words
	Value string
}

// Count is a countdown.
type Count struct {
	Title, Hint Words
	Seconds     int
	Steps       []Note // what happens at its end, in order
}

// Bar is how far something has come; Total 0 = nobody knows.
type Bar struct {
	What, How   Words
	Done, Total int64
}

// Field is what is being typed, with the keys for it.
type Field struct {
	Text   string
	Groups int // places for groups; 0 = free text
	Size   int // characters of a group
	Wrong  int // groups from the left of which the last is misspelt; 0 = none is known to be
	Keys   string
	Hint   Words
	Done   Button
}

// Look is a button's colour.
type Look uint8

// The looks.
const (
	White Look = iota
	Grey
	Green
	Blue
	Red
	Pale // red on pale red
)

// Button is a place to touch; the first nine answer to the keys 1 to 9 as well.
type Button struct {
	ID          string
	Words, More Words
	Icon        paint.Icon
	Look        Look
	Off         bool
}

// Dot is a place that was touched, from 0 to 1 over the screen.
type Dot struct{ X, Y float64 }

// State is what only the screen knows.
type State struct {
	English bool
	Focus   string // the button that Enter presses; "" = no keyboard is used
	Pressed string // the button under the finger
}

// Names of places that answer on every page. KeyPrefix begins those of a keypad.
const (
	Language  = "language"
	Anywhere  = "anywhere"
	KeyPrefix = "key:"
	KeyBack   = "key:back"
	KeyClear  = "key:clear"
)

// Focusable lists the places that arrows go through, in their order.
func (p Page) Focusable() []string {
	var ids []string
	for _, b := range p.Buttons {
		if !b.Off {
			ids = append(ids, b.ID)
		}
	}
	if p.Field != nil && !p.Field.Done.Off {
		ids = append(ids, p.Field.Done.ID)
	}
	return ids
}

// Digit is the button that a key from 1 to 9 presses, or "".
func (p Page) Digit(n int) string {
	if p.Field != nil || n < 1 || n > len(p.Buttons) || p.Buttons[n-1].Off {
		return ""
	}
	return p.Buttons[n-1].ID
}

func mid(r image.Rectangle) (x, y int) { return (r.Min.X + r.Max.X) / 2, (r.Min.Y + r.Max.Y) / 2 }
