package sale

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/choba-os/choba/services/till/catalogue"
	"github.com/choba-os/choba/services/till/money"
)

// steps turns random bytes into events: most of them fit, some do not, in an order nobody planned.
type steps struct {
	data []byte
}

func (s *steps) next() int {
	if len(s.data) == 0 {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return int(b)
}

func (s *steps) event(at State) Event {
	sale := at.Opened.Sale
	if sale == "" || s.next()%64 == 63 {
		sale = Number(uint64(480 + s.next()%4))
	}
	line := s.next() % 6
	switch s.next() % 16 {
	case 0:
		return opened(sale)
	case 1, 2, 3:
		e := at.Item([]catalogue.Article{tea, beer, cable}[s.next()%3], s.next()*4)
		e.Sale = sale
		return e
	case 4:
		return ItemAdded{Sale: sale, Line: line, Item: tea, Qty: s.next()}
	case 5:
		return QuantityChanged{Sale: sale, Line: line, Qty: s.next() * 5}
	case 6:
		return LineRemoved{Sale: sale, Line: line}
	case 7:
		return TenderEntered{Sale: sale}
	case 8:
		return TenderLeft{Sale: sale}
	case 9:
		rest, _ := at.Rest()
		return Tendered{sale, "cash", Cash, rest + money.Yen(s.next()-128)*10}
	case 10:
		return Tendered{sale, "cash", Cash, money.Yen(s.next() * s.next() * s.next())}
	case 11, 12:
		done, _ := at.Completion(noon)
		done.Sale, done.At = sale, noon
		done.Change += money.Yen(s.next() % 8 / 7)
		return done
	case 13:
		return []Event{Cancelled{Sale: sale, At: noon}, Dismissed{Sale: sale}, DrawerResult{sale, fmt.Sprintf("D02-%s-%d", sale, line), DrawerOpened, ""}}[s.next()%3]
	case 14:
		return []Event{at.NextPrint(noon), PrintAsked{Sale: sale, Job: "x", Reissue: line > 2, At: noon}, at.NextCommand("sale")}[s.next()%3]
	}
	return PrintResult{sale, fmt.Sprintf("R02-%s-%d", sale, line), []string{JobDone, JobNotDone, JobUnknown, "x"}[s.next()%4], ""}
}

func invariants(t require.TestingT, s State) {
	require.LessOrEqual(t, len(s.Lines), MaxLines)
	ids := map[int]bool{}
	var goods money.Yen
	for _, l := range s.Lines {
		require.False(t, ids[l.ID])
		ids[l.ID] = true
		require.True(t, l.Qty >= 1 && l.Qty <= MaxQty && l.ID <= s.Made)
		require.Equal(t, l.Item.Price*money.Yen(l.Qty), l.Amount)
		goods += l.Amount
	}
	require.True(t, s.Last == 0 && len(s.Lines) == 0 || ids[s.Last])
	if s.Phase == None {
		return
	}
	total, err := s.Total()
	require.NoError(t, err)
	require.LessOrEqual(t, total, MaxTotal)
	require.Equal(t, goods, total, "prices contain the tax")
	if s.Phase == Complete { // A01
		require.Equal(t, s.Completed.Total, total)
		require.Equal(t, total, s.Paid()-s.Completed.Change)
		require.True(t, s.Completed.Change >= 0 && s.Completed.Change <= MaxChange)
		require.NotEmpty(t, s.Payments)
		require.NotEmpty(t, s.Lines)
	} else {
		require.Empty(t, s.Prints)
		require.Empty(t, s.Commands)
		require.False(t, s.Dismissed)
	}
	if s.Phase == Open || s.Phase == Void {
		require.Empty(t, s.Payments)
	}
	originals := 0
	for _, j := range s.Prints {
		if !j.Reissue && j.State != JobNotDone {
			originals++
		}
	}
	require.LessOrEqual(t, originals, 1, "one receipt at most without 再発行")
}

// story runs random events: nothing panics, what does not fit changes nothing, the rules hold after each step, and the
// stored form of what did fit gives the same sale again.
func story(t require.TestingT, data []byte) {
	s, stored := State{}, []Event{}
	for in := (&steps{data}); len(in.data) > 0; {
		e := in.event(s)
		kind, content, err := Encode(e)
		if err != nil {
			_, _, err = Apply(s, e)
			require.Error(t, err, "what cannot be written does not happen")
			continue
		}
		read, err := Decode(kind, content)
		require.NoError(t, err)
		next, _, err := Apply(s, read)
		if err != nil {
			require.Equal(t, s, next)
			continue
		}
		stored = append(stored, read)
		s = next
		invariants(t, s)
	}
	again := State{}
	for _, e := range stored {
		var err error
		again, _, err = Apply(again, e)
		require.NoError(t, err)
	}
	require.Equal(t, s, again)
}

func TestRandomStories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { story(t, rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "data")) })
}

func FuzzApply(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x01\x01\x01\x01\x01\x01\x09\x09\x09\x0b\x0b\x0e\x0e"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 4000 {
			story(t, data)
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, e := range every() {
		kind, content, err := Encode(e)
		require.NoError(f, err)
		f.Add(kind, content)
	}
	f.Fuzz(func(t *testing.T, kind string, content []byte) {
		e, err := Decode(kind, content)
		if err != nil {
			return
		}
		k, again, err := Encode(e)
		require.NoError(t, err)
		require.Equal(t, kind, k)
		back, err := Decode(k, again)
		require.NoError(t, err)
		// Not the values: "+00:00" is read as the computer's own zone where that is UTC. What is stored must not change.
		_, last, err := Encode(back)
		require.NoError(t, err)
		require.Equal(t, string(again), string(last))
	})
}
