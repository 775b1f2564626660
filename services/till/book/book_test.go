package book

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/till/catalogue"
	"github.com/choba-os/choba/services/till/day"
	"github.com/choba-os/choba/services/till/sale"
	"github.com/choba-os/choba/services/till/tax"
)

var (
	noon = time.Date(2026, 11, 21, 14, 32, 0, 0, time.FixedZone("JST", 9*3600))
	tea  = catalogue.Article{Code: "4901234567894", Name: "緑茶", NameEn: "Tea", Department: "drink", Tax: tax.Reduced, Price: 138}
)

func opened(n uint64) sale.Opened {
	return sale.Opened{Sale: sale.Number(n), Register: "02", Business: day.Of(noon), At: noon, Operator: sale.Operator{ID: "1", Name: "山田"}, Pack: "p.1",
		Terms: tax.Terms{Included: true, Rounding: tax.Floor, Rates: []tax.Rate{{Class: tax.Reduced, Points: 800, Reduced: true}}}}
}

func run(t require.TestingT, s State, events ...sale.Event) State {
	for _, e := range events {
		var err error
		s, _, err = Apply(s, e)
		require.NoError(t, err)
	}
	return s
}

// sell takes a sale from opening to completion.
func sell(t require.TestingT, s State, n uint64) State {
	number := sale.Number(n)
	s = run(t, s, opened(n), sale.ItemAdded{Sale: number, Line: 1, Item: tea, Qty: 1}, sale.Tendered{Sale: number, Tender: "cash", Type: sale.Cash, Amount: 138})
	done, err := s.Sale.Completion(noon)
	require.NoError(t, err)
	return run(t, s, done)
}

func TestNumbersHaveNoGaps(t *testing.T) {
	s := State{}
	require.Equal(t, "000001", s.Number())
	s = sell(t, s, 1)
	for _, n := range []uint64{1, 3, 482} {
		_, _, err := Apply(s, opened(n))
		require.ErrorIs(t, err, ErrNumber)
	}
	s = run(t, s, opened(2))
	_, _, err := Apply(s, opened(3))
	require.ErrorIs(t, err, ErrBusy)
	s = run(t, s, sale.Cancelled{Sale: "000002", At: noon}, opened(3))
	require.Equal(t, "000004", s.Number(), "a sale that was given up has spent its number")
}

func TestReplayMayBeginInTheMiddle(t *testing.T) {
	_, _, err := Apply(State{}, sale.LineRemoved{Sale: "000481", Line: 1})
	require.ErrorIs(t, err, ErrOld)
	s := run(t, State{}, opened(482))
	require.Equal(t, "000483", s.Number())
}

// A result may come when the next customers are already being served.
func TestLateResults(t *testing.T) {
	s := sell(t, State{}, 1)
	first := s.Sale.NextPrint(noon)
	s = run(t, s, first, s.Sale.NextCommand("sale"))
	s = sell(t, s, 2)
	s = sell(t, s, 3)
	require.Len(t, s.Unsettled(), 2)
	require.Len(t, s.Earlier, 2, "the one with paper on its way, and the newest before the counter")
	s = run(t, s, sale.PrintResult{Sale: "000001", Job: first.Job, State: sale.JobDone}, sale.DrawerResult{Sale: "000001", Command: "D02-000001-1", State: sale.DrawerOpened})
	require.Empty(t, s.Unsettled())
	held, ok := s.Held("000001")
	require.True(t, ok)
	require.Equal(t, sale.JobDone, held.Printed())
	s = run(t, s, opened(4))
	_, ok = s.Held("000001")
	require.False(t, ok)
	last, ok := s.Finished()
	require.True(t, ok)
	require.Equal(t, "000003", last.Opened.Sale)
	_, _, err := Apply(s, sale.PrintResult{Sale: "000001", Job: first.Job, State: sale.JobDone})
	require.ErrorIs(t, err, ErrOld)
}

func TestATouchHasItsEffectOnce(t *testing.T) {
	s := run(t, State{}, opened(1), sale.ItemAdded{Sale: "000001", Line: 1, Item: tea, Qty: 1, Act: "a"})
	_, _, err := Apply(s, sale.ItemAdded{Sale: "000001", Line: 1, Item: tea, Qty: 1, Act: "a"})
	require.ErrorIs(t, err, ErrRepeated)
	for range 300 {
		s = run(t, s, sale.QuantityChanged{Sale: "000001", Line: 1, Qty: 2})
	}
	require.Equal(t, []string{"a"}, s.Acts)
	for i := range 300 {
		s = run(t, s, sale.QuantityChanged{Sale: "000001", Line: 1, Qty: 2, Act: sale.Number(uint64(i + 1))})
	}
	require.Len(t, s.Acts, keepActs)
	require.Equal(t, "000300", s.Acts[keepActs-1])
}

func TestTheBookDoesNotGrowWithoutEnd(t *testing.T) {
	s := State{}
	for n := uint64(1); n < 3*keepEarlier; n++ {
		s = sell(t, s, n)
		s = run(t, s, s.Sale.NextPrint(noon))
	}
	require.Len(t, s.Earlier, keepEarlier)
}

func TestErrorsChangeNothing(t *testing.T) {
	s := sell(t, State{}, 1)
	before := s
	for _, e := range []sale.Event{opened(9), sale.Cancelled{Sale: "000001", At: noon, Act: "x"}, sale.PrintResult{Sale: "000001", Job: "j", State: sale.JobDone}} {
		next, _, err := Apply(s, e)
		require.Error(t, err)
		require.Equal(t, before, next)
	}
}
