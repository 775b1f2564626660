package screen

import (
	"image"
	"strings"

	"github.com/choba-os/choba/drivers/input"
	"github.com/choba-os/choba/services/screen/state"
	"github.com/choba-os/choba/services/screen/view"
)

// finger is a touch under way.
type finger struct {
	on    string      // what it went down on
	start image.Point // where, in pixels
	top   int         // first line of the list then
	drag  bool        // it moves the list
}

// dragAfter is how far a finger moves on the list before it scrolls instead of choosing, in parts of a row.
const dragAfter = 0.5

// touch follows the finger. Number keys work when it comes down, so that fast typing loses nothing; everything else when it is lifted
// over the place that it went down on.
func (l *loop) touch(t input.Touch, r *remote) {
	s := l.screens[0]
	at := image.Pt(min(int(t.X*float64(s.w)), s.w-1), min(int(t.Y*float64(s.h)), s.h-1))
	under := l.hits.At(at)
	rows := view.Rows(s.w, s.h, l.v)
	switch t.Phase {
	case input.Down:
		first, _ := l.ui.Window(l.v, rows)
		l.finger = finger{on: under, start: at, top: first}
		l.ui.Pressed = under
		if strings.HasPrefix(under, state.Key) {
			l.press(under, rows, r)
		}
	case input.Move:
		l.move(at, under, rows)
	case input.Up:
		f := l.finger
		l.finger, l.ui.Pressed = finger{}, ""
		if f.on != "" && f.on == under && !f.drag && !strings.HasPrefix(under, state.Key) {
			l.press(under, rows, r)
		}
	default:
		l.finger, l.ui.Pressed = finger{}, ""
	}
}

func (l *loop) move(at image.Point, under string, rows int) {
	f := &l.finger
	if f.on == "" {
		return
	}
	list := f.on == state.List || strings.HasPrefix(f.on, state.LineTouch)
	row := view.RowHeight(l.screens[0].w, l.screens[0].h)
	moved := float64(f.start.Y-at.Y) / row
	if list && (f.drag || moved > dragAfter || moved < -dragAfter) {
		f.drag = true
		l.ui.Pressed = ""
		l.ui = l.ui.ScrollTo(l.v, rows, f.top+int(moved+0.5*sign(moved)))
		return
	}
	l.ui.Pressed = ""
	if under == f.on {
		l.ui.Pressed = f.on
	}
}

func sign(f float64) float64 {
	if f < 0 {
		return -1
	}
	return 1
}

func (l *loop) press(id string, rows int, r *remote) {
	ui, act := l.ui.Touch(l.v, id, rows)
	if act != nil && l.busy {
		return // the touch is dropped whole: neither the screen's state nor the sale changes
	}
	l.ui = ui
	if l.ui.Notice != (state.Notice{}) {
		l.notice.Reset(noticeTime)
	}
	l.ask(act, r)
}
