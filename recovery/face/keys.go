package face

import (
	"slices"
	"strings"

	"github.com/choba-os/choba/recovery/hands"
)

// Press says what a key does on a page: it moves the focus, or presses the button
// whose name is returned. Anywhere means that somebody is there and pressed no button.
func Press(p Page, s State, e hands.Event) (State, string) {
	ids := p.Focusable()
	at := slices.Index(ids, s.Focus)
	if at < 0 {
		s.Focus = ""
	}
	switch e.Key {
	case hands.Down, hands.Right, hands.Tab, hands.Up, hands.Left:
		return move(p, s, ids, at, e.Key), ""
	case hands.Enter:
		switch {
		case s.Focus != "":
			return s, s.Focus
		case p.Field != nil && !p.Field.Done.Off:
			return s, p.Field.Done.ID
		case len(ids) > 0:
			s.Focus = ids[0] // the first Enter shows where the keys are, the second presses
			return s, ""
		}
	case hands.Escape:
		for _, id := range []string{"back", "menu"} {
			if slices.Contains(ids, id) {
				return s, id
			}
		}
	case hands.Erase:
		if p.Field != nil {
			return s, KeyBack
		}
	case hands.Typed:
		return typed(p, s, e.Rune)
	}
	return s, Anywhere
}

func typed(p Page, s State, r rune) (State, string) {
	switch {
	case p.Field != nil:
		if strings.ContainsRune(p.Field.Keys, r) {
			return s, KeyPrefix + string(r)
		}
		return s, ""
	case r == 'l' || r == 'L':
		return s, Language
	case r >= '1' && r <= '9':
		if id := p.Digit(int(r - '0')); id != "" {
			return s, id
		}
	}
	return s, Anywhere
}

// move takes the focus to the next button; in a menu up and down go by rows of two.
func move(p Page, s State, ids []string, at int, k hands.Key) State {
	if len(ids) == 0 {
		return s
	}
	if at < 0 {
		s.Focus = ids[0]
		return s
	}
	by := 1
	if p.Menu && (k == hands.Up || k == hands.Down) {
		by = 2
	}
	if k == hands.Up || k == hands.Left {
		by = -by
	}
	s.Focus = ids[((at+by)%len(ids)+len(ids))%len(ids)]
	return s
}
