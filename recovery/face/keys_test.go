package face

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/recovery/hands"
)

func buttons(ids ...string) (out []Button) {
	for _, id := range ids {
		out = append(out, Button{ID: id, Off: id == "off"})
	}
	return out
}

// press gives a page keys, and returns the focus and the last button pressed.
func press(p Page, keys ...hands.Event) (focus, id string) {
	var s State
	for _, k := range keys {
		s, id = Press(p, s, k)
	}
	return s.Focus, id
}

func TestArrows(t *testing.T) {
	row := Page{Buttons: buttons("back", "off", "go")}
	right, left := hands.Event{Key: hands.Right}, hands.Event{Key: hands.Left}
	for want, keys := range map[string][]hands.Event{
		"back": {right}, "go": {right, right}, "": nil,
	} {
		focus, id := press(row, keys...)
		require.Equal(t, want, focus)
		require.Empty(t, id)
	}
	focus, _ := press(row, right, left)
	require.Equal(t, "go", focus, "round the end, and never on what is off")
	_, id := press(row, right, hands.Event{Key: hands.Enter})
	require.Equal(t, "back", id)

	menu := Page{Menu: true, Buttons: buttons("1", "2", "3", "4")}
	focus, _ = press(menu, right, hands.Event{Key: hands.Down})
	require.Equal(t, "3", focus, "down goes by rows")
}

func TestFirstEnterPressesNothing(t *testing.T) {
	p := Page{Buttons: buttons("erase")}
	focus, id := press(p, hands.Event{Key: hands.Enter})
	require.Equal(t, "erase", focus)
	require.Empty(t, id)
}

func TestDigits(t *testing.T) {
	p := Page{Buttons: buttons("a", "off", "c")}
	for r, want := range map[rune]string{'1': "a", '2': Anywhere, '3': "c", '4': Anywhere, '0': Anywhere, 'x': Anywhere, 'l': Language} {
		_, id := press(p, hands.Event{Key: hands.Typed, Rune: r})
		require.Equal(t, want, id, string(r))
	}
}

func TestField(t *testing.T) {
	p := Page{Field: &Field{Keys: "123.", Done: Button{ID: "done"}}, Buttons: buttons("back")}
	for _, row := range []struct {
		key  hands.Event
		want string
	}{
		{hands.Event{Key: hands.Typed, Rune: '1'}, KeyPrefix + "1"},
		{hands.Event{Key: hands.Typed, Rune: '.'}, KeyPrefix + "."},
		{hands.Event{Key: hands.Typed, Rune: '9'}, ""},
		{hands.Event{Key: hands.Typed, Rune: 'l'}, ""},
		{hands.Event{Key: hands.Erase}, KeyBack},
		{hands.Event{Key: hands.Enter}, "done"},
		{hands.Event{Key: hands.Escape}, "back"},
	} {
		_, id := press(p, row.key)
		require.Equal(t, row.want, id)
	}
}
