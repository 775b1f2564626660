package entry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

// Normal checks an event and gives it in the form that is stored: content without spaces, escaped, never absent.
// The error is a sentence for the caller and never repeats a value.
func (v Event) Normal() (Event, error) {
	if err := CheckKind(v.Kind); err != nil {
		return Event{}, err
	}
	for _, f := range []struct{ name, text string }{{"person", v.Person}, {"approver", v.Approver}, {"device", v.Device}} {
		if err := checkText(f.name, f.text); err != nil {
			return Event{}, err
		}
	}
	content, err := normalContent(v.Content)
	if err != nil {
		return Event{}, fmt.Errorf("content: %w", err)
	}
	v.Content = content
	return v, nil
}

// CheckKind wants two or more words of a-z, 0-9 and '-', joined by dots.
func CheckKind(kind string) error {
	if len(kind) > MaxKind {
		return fmt.Errorf("kind: %d bytes, at most %d are allowed", len(kind), MaxKind)
	}
	dots, word := 0, 0
	for i := 0; i < len(kind); i++ {
		switch c := kind[i]; {
		case c == '.' && word > 0:
			dots, word = dots+1, 0
		case 'a' <= c && c <= 'z', word > 0 && ('0' <= c && c <= '9' || c == '-'):
			word++
		default:
			return errors.New("kind: want lower-case words joined by dots, like sale.closed")
		}
	}
	if dots == 0 || word == 0 {
		return errors.New("kind: want lower-case words joined by dots, like sale.closed")
	}
	return nil
}

func checkText(name, text string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("%s: not UTF-8", name)
	}
	if n := utf8.RuneCountInString(text); n > MaxText {
		return fmt.Errorf("%s: %d characters, at most %d are allowed", name, n, MaxText)
	}
	for _, r := range text {
		if unicode.IsControl(r) {
			return fmt.Errorf("%s: a control character", name)
		}
	}
	return nil
}

func normalContent(given json.RawMessage) (json.RawMessage, error) {
	given = bytes.TrimSpace(given)
	if len(given) == 0 || string(given) == "null" {
		return json.RawMessage("{}"), nil
	}
	if len(given) > 2*MaxContent { // before any work is spent on it
		return nil, fmt.Errorf("larger than %d bytes", MaxContent)
	}
	if err := checkContent(given); err != nil {
		return nil, err
	}
	var tight, safe bytes.Buffer
	if err := json.Compact(&tight, given); err != nil {
		return nil, errors.New("not JSON")
	}
	json.HTMLEscape(&safe, tight.Bytes())
	if safe.Len() > MaxContent {
		return nil, fmt.Errorf("larger than %d bytes", MaxContent)
	}
	return safe.Bytes(), nil
}

// checkContent wants one JSON object in which no two readers can see different things: UTF-8, no name twice in an
// object, no deep nesting.
func checkContent(text []byte) error {
	if !utf8.Valid(text) {
		return errors.New("not UTF-8")
	}
	if text[0] != '{' {
		return errors.New("want a JSON object")
	}
	if !json.Valid(text) {
		return errors.New("not JSON")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return checkTokens(d)
}

// level is one open object or array.
type level struct {
	names   map[string]bool // nil in an array
	wantKey bool
}

func checkTokens(d *json.Decoder) error {
	var open []level
	for {
		token, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return errors.New("not JSON")
		}
		if n := len(open); n > 0 && open[n-1].names != nil && token != json.Delim('}') {
			top := &open[n-1]
			if top.wantKey {
				name := token.(string) // the decoder gives nothing else here
				if top.names[name] {
					return errors.New("a name stands twice in one object")
				}
				top.names[name] = true
			}
			top.wantKey = !top.wantKey
		}
		switch token {
		case json.Delim('{'):
			open = append(open, level{names: map[string]bool{}, wantKey: true})
		case json.Delim('['):
			open = append(open, level{})
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		}
		if len(open) > MaxDepth {
			return fmt.Errorf("nested deeper than %d", MaxDepth)
		}
	}
}
