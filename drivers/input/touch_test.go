package input

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func tablet() Info { return Info{Touch: true, X: Range{0, 1000}, Y: Range{100, 300}} }

func panel() Info { return Info{Touch: true, Multi: true, X: Range{0, 100}, Y: Range{0, 100}} }

func feed(p *Pad, es ...Event) []Touch {
	var out []Touch
	for _, e := range es {
		if t, ok := p.Feed(e); ok {
			out = append(out, t)
		}
	}
	return out
}

func abs(code uint16, v int32) Event { return Event{Type: Abs, Code: code, Value: v} }

func TestTablet(t *testing.T) {
	p := NewPad(tablet())
	require.Empty(t, feed(p, abs(absX, 500), abs(absY, 200), Event{}), "hovering is no touch")
	require.Equal(t, []Touch{{Phase: Down, X: .5, Y: .5}}, feed(p, Event{Type: Key, Code: btnLeft, Value: 1}, Event{}))
	require.Equal(t, []Touch{{Phase: Move, X: 1, Y: .5}}, feed(p, abs(absX, 5000), Event{}))
	require.Empty(t, feed(p, Event{}))
	require.Equal(t, []Touch{{Phase: Up, X: 1, Y: .5}}, feed(p, Event{Type: Key, Code: btnLeft}, Event{}))
}

func TestMultiTouchFirstFingerCounts(t *testing.T) {
	p := NewPad(panel())
	require.Equal(t, []Touch{{Phase: Down, X: .1, Y: .2}},
		feed(p, abs(absSlot, 0), abs(absTracking, 7), abs(absMTX, 10), abs(absMTY, 20), Event{}))
	require.Empty(t, feed(p, abs(absSlot, 1), abs(absTracking, 8), abs(absMTX, 90), abs(absMTY, 90), Event{}))
	require.Equal(t, []Touch{{Phase: Up, X: .1, Y: .2}}, feed(p, abs(absSlot, 0), abs(absTracking, -1), Event{}))
	// the second finger, still down, counts now
	require.Equal(t, []Touch{{Phase: Down, X: .9, Y: .9}}, feed(p, Event{}))
	require.Equal(t, []Touch{{Phase: Up, X: .9, Y: .9}}, feed(p, abs(absSlot, 1), abs(absTracking, -1), Event{}))
}

// A29: no ghost touch after the kernel lost events.
func TestLostEventsCancel(t *testing.T) {
	p := NewPad(panel())
	feed(p, abs(absTracking, 7), abs(absMTX, 10), abs(absMTY, 20), Event{})
	require.Equal(t, []Touch{{Phase: Cancel, X: .1, Y: .2}}, feed(p, Event{Code: SynDropped}))
	require.Empty(t, feed(p, abs(absTracking, 9), abs(absMTX, 50), Event{}), "what comes before the next report is part of the loss")
	require.Empty(t, feed(p, abs(absMTX, 60), Event{}), "a finger that was down before stays forgotten")
	require.Equal(t, []Touch{{Phase: Down, X: .7, Y: .2}}, feed(p, abs(absTracking, 10), abs(absMTX, 70), Event{}))
}

func FuzzPad(f *testing.F) {
	f.Add(true, Encode(nil, abs(absSlot, 1), abs(absTracking, 3), abs(absMTX, 5), Event{}, Event{Code: SynDropped}))
	f.Add(false, Encode(nil, abs(absX, 1), Event{Type: Key, Code: btnTouch, Value: 1}, Event{}))
	f.Fuzz(func(t *testing.T, multi bool, b []byte) {
		es, err := Decode(nil, b[:len(b)-len(b)%EventSize])
		require.NoError(t, err)
		info := tablet()
		info.Multi = multi
		p, down := NewPad(info), false
		for _, e := range es {
			touch, ok := p.Feed(e)
			if !ok {
				continue
			}
			require.True(t, touch.X >= 0 && touch.X <= 1 && touch.Y >= 0 && touch.Y <= 1)
			require.Equal(t, touch.Phase != Down, down, "a touch goes down, then moves, then goes up")
			down = touch.Phase == Down || touch.Phase == Move
			require.LessOrEqual(t, len(p.slots), 64)
		}
	})
}
