package sale

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/till/catalogue"
	"github.com/choba-os/choba/services/till/day"
	"github.com/choba-os/choba/services/till/money"
	"github.com/choba-os/choba/services/till/tax"
)

var (
	noon  = time.Date(2026, 11, 21, 14, 32, 0, 0, time.FixedZone("JST", 9*3600))
	terms = tax.Terms{Included: true, Rounding: tax.Floor, Rates: []tax.Rate{{Class: tax.Standard, Points: 1000}, {Class: tax.Reduced, Points: 800, Reduced: true}}}

	tea   = catalogue.Article{Code: "4901234567894", Name: "宇治抹茶入り緑茶 500ml", NameEn: "Uji green tea 500ml", Department: "drink", Tax: tax.Reduced, Price: 138}
	beer  = catalogue.Article{Code: "4904567890127", Name: "プレミアム缶ビール 350ml", NameEn: "Premium beer 350ml", Department: "alcohol", Tax: tax.Standard, Price: 228}
	cable = catalogue.Article{Code: "4905678901238", Name: "USB-C 充電ケーブル 1.5m", NameEn: "USB-C cable 1.5m", Department: "goods", Tax: tax.Standard, Price: 1280}
)

func opened(number string) Opened {
	return Opened{Sale: number, Register: "02", Business: day.Of(noon), At: noon, Operator: Operator{"1001", "山田 花子"}, Pack: "p1", Terms: terms}
}

// run applies events that must all fit.
func run(t require.TestingT, s State, events ...Event) (State, []Effect) {
	var effects []Effect
	for _, e := range events {
		var err error
		s, effects, err = Apply(s, e)
		require.NoError(t, err)
	}
	return s, effects
}

func item(line int, a catalogue.Article, qty int) ItemAdded {
	return ItemAdded{Sale: "000482", Line: line, Item: a, Qty: qty}
}

func TestWholeSale(t *testing.T) {
	s, _ := run(t, State{}, opened("000482"), item(1, tea, 2), item(2, beer, 6))
	require.Equal(t, 8, s.Count())
	total, err := s.Total()
	require.NoError(t, err)
	require.Equal(t, money.Yen(1644), total)

	s, effects := run(t, s, TenderEntered{Sale: "000482"}, Tendered{"000482", "cash", Cash, 2000})
	require.Empty(t, effects)
	done, err := s.Completion(noon)
	require.NoError(t, err)
	require.Equal(t, money.Yen(356), done.Change)
	require.Equal(t, []Result{{tax.Standard, 1368, 124}, {tax.Reduced, 276, 20}}, done.Rates)

	s, effects = run(t, s, done)
	require.Equal(t, []Effect{AskDrawer{"sale"}, AskPrint{}}, effects)
	command := s.NextCommand("sale")
	s, effects = run(t, s, command)
	require.Equal(t, []Effect{SendDrawer{command.Command}}, effects)
	print := s.NextPrint(noon)
	require.False(t, print.Reissue)
	s, effects = run(t, s, print)
	require.Equal(t, []Effect{SendPrint{Job{print.Job, false, noon, JobAsked}}}, effects)
	s, _ = run(t, s, DrawerResult{"000482", command.Command, DrawerOpened, ""}, PrintResult{"000482", print.Job, JobDone, ""}, Dismissed{Sale: "000482"})
	require.Equal(t, JobDone, s.Printed())
	require.Equal(t, DrawerOpened, s.DrawerState())
	require.True(t, s.Dismissed)
}

// A01: no way to close a sale without tenders that balance.
func TestA01UnbalancedSaleDoesNotClose(t *testing.T) {
	open, _ := run(t, State{}, opened("000482"), item(1, tea, 2))
	closing := Completed{Sale: "000482", At: noon, Total: 276, Paid: 276, Rates: []Result{{tax.Reduced, 276, 20}}}
	tendering, _ := run(t, open, TenderEntered{Sale: "000482"})
	short, _ := run(t, open, Tendered{"000482", "cash", Cash, 275})
	for name, s := range map[string]State{"goods": open, "no tender": tendering, "one yen short": short} {
		_, _, err := Apply(s, closing)
		require.ErrorIs(t, err, ErrUnpaid, name)
	}
	paid, _ := run(t, short, Tendered{"000482", "cash", Cash, 1})
	for name, change := range map[string]func(*Completed){
		"other total": func(e *Completed) { e.Total = 275 }, "other payment": func(e *Completed) { e.Paid = 1000 },
		"invented change": func(e *Completed) { e.Change = 1 }, "other tax": func(e *Completed) { e.Rates = []Result{{tax.Reduced, 276, 21}} },
	} {
		wrong := closing
		change(&wrong)
		_, _, err := Apply(paid, wrong)
		require.ErrorIs(t, err, ErrResult, name)
	}
	_, _ = run(t, paid, closing)
}

func TestSameArticleGoesOntoTheLastLine(t *testing.T) {
	s, _ := run(t, State{}, opened("000482"))
	for _, a := range []catalogue.Article{tea, tea, beer, tea} {
		s, _ = run(t, s, s.Item(a, 1))
	}
	require.Equal(t, []int{2, 1, 1}, []int{s.Lines[0].Qty, s.Lines[1].Qty, s.Lines[2].Qty})
	s, _ = run(t, s, QuantityChanged{Sale: "000482", Line: 3, Qty: MaxQty}, s.Item(beer, 1))
	require.Equal(t, 4, len(s.Lines))
	dearer := tea
	dearer.Price++
	require.Equal(t, 5, s.Item(dearer, 1).Line, "another price is another line")
	full, _ := run(t, s, LineRemoved{Sale: "000482", Line: 4})
	require.Equal(t, 5, full.Item(tea, 1).Line, "a line that is full is not added to")
}

func TestLinesKeepTheirIdentity(t *testing.T) {
	s, _ := run(t, State{}, opened("000482"), item(1, tea, 1), item(2, beer, 1), item(3, cable, 1), LineRemoved{Sale: "000482", Line: 2})
	require.Equal(t, []int{1, 3}, []int{s.Lines[0].ID, s.Lines[1].ID})
	require.Equal(t, 3, s.Last)
	_, _, err := Apply(s, QuantityChanged{Sale: "000482", Line: 2, Qty: 2})
	require.ErrorIs(t, err, ErrNoLine)
	_, _, err = Apply(s, item(2, beer, 1))
	require.ErrorIs(t, err, ErrNoLine, "an identity is not used twice")
	s, _ = run(t, s, item(4, beer, 1), LineRemoved{Sale: "000482", Line: 4}, LineRemoved{Sale: "000482", Line: 3}, LineRemoved{Sale: "000482", Line: 1})
	require.Zero(t, s.Last)
	_, _, err = Apply(s, TenderEntered{Sale: "000482"})
	require.ErrorIs(t, err, ErrEmpty)
}

func TestLimits(t *testing.T) {
	s, _ := run(t, State{}, opened("000482"), item(1, tea, MaxQty))
	for name, c := range map[string]struct {
		e    Event
		want string
	}{
		"a thousandth piece":  {item(1, tea, 1), ErrQuantity.Error()},
		"no pieces":           {QuantityChanged{Sale: "000482", Line: 1, Qty: 0}, "quantity out of range"},
		"too many pieces":     {QuantityChanged{Sale: "000482", Line: 1, Qty: 1000}, "quantity out of range"},
		"more change than":    {Tendered{"000482", "cash", Cash, 138*MaxQty + MaxChange + 1}, ErrChange.Error()},
		"nothing":             {Tendered{"000482", "cash", Cash, 0}, ErrUnpaid.Error()},
		"negative":            {Tendered{"000482", "cash", Cash, -1}, "out of range"},
		"tender of no kind":   {Tendered{"000482", "cash", "iou", 1}, "unknown type"},
		"another sale":        {QuantityChanged{Sale: "000483", Line: 1, Qty: 1}, ErrSale.Error()},
		"opened twice":        {opened("000482"), ErrPhase.Error()},
		"class without rate":  {item(2, catalogue.Article{Code: "000001", Name: "x", NameEn: "x", Department: "d", Tax: "luxury", Price: 1}, 1), "has no rate"},
		"print before paying": {PrintAsked{Sale: "000482", Job: "j", At: noon}, ErrPhase.Error()},
		"drawer before":       {DrawerAsked{"c", "sale", "000482"}, ErrPhase.Error()},
	} {
		_, _, err := Apply(s, c.e)
		require.ErrorContains(t, err, c.want, name)
	}
	dear := tea
	dear.Price = catalogue.MaxPrice
	s, _ = run(t, s, item(2, dear, 9))
	_, _, err := Apply(s, item(2, dear, 1))
	require.ErrorIs(t, err, ErrTotal)
	s, _ = run(t, State{}, opened("000482"))
	for i := range MaxLines {
		s, _ = run(t, s, item(i+1, tea, 1))
	}
	_, _, err = Apply(s, item(MaxLines+1, tea, 1))
	require.ErrorIs(t, err, ErrLines)
}

func TestBackVoidsTheMoney(t *testing.T) {
	s, _ := run(t, State{}, opened("000482"), item(1, tea, 2), Tendered{"000482", "cash", Cash, 100}, TenderLeft{Sale: "000482"})
	require.Equal(t, Open, s.Phase)
	require.Zero(t, s.Paid())
	s, _ = run(t, s, item(2, beer, 1), Cancelled{Sale: "000482", At: noon})
	require.Equal(t, Void, s.Phase)
	for _, e := range []Event{item(3, tea, 1), TenderEntered{Sale: "000482"}, Cancelled{Sale: "000482", At: noon}, Dismissed{Sale: "000482"}} {
		_, _, err := Apply(s, e)
		require.ErrorIs(t, err, ErrPhase)
	}
}

// A sale of nothing but free goods closes with a tender of nothing.
func TestFreeGoods(t *testing.T) {
	gift := tea
	gift.Price = 0
	s, _ := run(t, State{}, opened("000482"), item(1, gift, 1), Tendered{"000482", "cash", Cash, 0})
	_, _, err := Apply(s, Tendered{"000482", "cash", Cash, 0})
	require.ErrorIs(t, err, ErrPaid)
	done, err := s.Completion(noon)
	require.NoError(t, err)
	run(t, s, done)
}

// What may already be on paper is only ever printed again as a copy.
func TestReissue(t *testing.T) {
	s, _ := run(t, State{}, opened("000482"), item(1, tea, 1), Tendered{"000482", "cash", Cash, 138})
	done, err := s.Completion(noon)
	require.NoError(t, err)
	s, _ = run(t, s, done)
	for _, c := range []struct {
		result string
		copy   bool
	}{{JobNotDone, false}, {JobUnknown, true}, {JobNotDone, true}, {JobDone, true}} {
		asked := s.NextPrint(noon)
		s, _ = run(t, s, asked)
		require.True(t, s.NextPrint(noon).Reissue, "one is on its way")
		s, _ = run(t, s, PrintResult{"000482", asked.Job, c.result, "why"})
		require.Equal(t, c.copy, s.NextPrint(noon).Reissue, c.result)
		_, _, err := Apply(s, PrintResult{"000482", asked.Job, JobDone, ""})
		require.ErrorIs(t, err, ErrJob, "one result a job")
	}
	wrong := s.NextPrint(noon)
	wrong.Reissue = false
	_, _, err = Apply(s, wrong)
	require.ErrorIs(t, err, ErrJob)
}

func TestNumber(t *testing.T) {
	for _, good := range []string{"000001", "000482", "999999", "1000000"} {
		n, err := ParseNumber(good)
		require.NoError(t, err)
		require.Equal(t, good, Number(n))
	}
	for _, bad := range []string{"", "1", "000000", "0000482", "00048x", "-00001", "1234567890123"} {
		_, err := ParseNumber(bad)
		require.Error(t, err, bad)
	}
}

// every has one event of each kind with all its fields.
func every() []Event {
	return []Event{
		opened("000482"),
		ItemAdded{"000482", 1, tea, 2, 17, "a1"}, QuantityChanged{"000482", 1, 3, "a2"}, LineRemoved{"000482", 1, "a3"},
		TenderEntered{"000482", "a4"}, TenderLeft{"000482", "interrupted", "a5"}, Tendered{"000482", "cash", Cash, 10000},
		Completed{"000482", noon, 4239, 10000, 5761, []Result{{tax.Standard, 2653, 241}, {tax.Reduced, 1586, 117}}, "a6"},
		Cancelled{"000482", noon, "a7"}, Dismissed{"000482", "a8"},
		PrintAsked{"000482", "R02-000482-2", true, noon, "a9"},
		PrintResult{"000482", "R02-000482-2", JobDone, ""}, PrintResult{"000482", "R02-000482-2", JobNotDone, "paper out"}, PrintResult{"000482", "R02-000482-2", JobUnknown, "restart"},
		DrawerAsked{"D02-000482-1", "sale", "000482"},
		DrawerResult{"000482", "D02-000482-1", DrawerOpened, ""}, DrawerResult{"000482", "D02-000482-1", DrawerFailed, "absent"}, DrawerResult{"000482", "D02-000482-1", DrawerUnknown, "restart"},
	}
}

// The stored form does not change: testdata/events.txt was written once and is only ever added to.
func TestGoldenEvents(t *testing.T) {
	golden, err := os.ReadFile("testdata/events.txt")
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(golden)), "\n")
	require.Len(t, lines, len(every()))
	for i, e := range every() {
		kind, content, err := Encode(e)
		require.NoError(t, err)
		require.Equal(t, lines[i], kind+" "+string(content))
		back, err := Decode(kind, content)
		require.NoError(t, err)
		again, err := json.Marshal(back)
		require.NoError(t, err)
		require.Equal(t, string(content), string(again))
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct{ kind, content, want string }{
		{"sale.exploded", `{}`, "not an event"},
		{"sale.item-added", `{"sale":"000482","line":1,"qty":1,"price":1}`, "unknown field"},
		{"sale.line-removed", `{"sale":"000482","line":1} {}`, "follows"},
		{"sale.line-removed", `{"sale":"482","line":1}`, "sale number"},
		{"sale.line-removed", `{"sale":"000482","line":0}`, "no such line"},
		{"sale.line-removed", `{"sale":"000482","line":1,"act":"a b"}`, "not a word"},
		{"sale.tendered", `{"sale":"000482","tender":"cash","type":"cash","amount":-5}`, "out of range"},
		{"sale.tendered", `{"sale":"000482","tender":"cash","type":"cash","amount":1.5}`, "cannot unmarshal"},
		{"sale.cancelled", `{"sale":"000482","at":"0001-01-01T00:00:00Z"}`, "no time"},
		{"print.done", ``, "EOF"},
	} {
		_, err := Decode(c.kind, []byte(c.content))
		require.ErrorContains(t, err, c.want, c.content)
	}
	_, _, err := Encode(LineRemoved{Sale: "1", Line: 1})
	require.Error(t, err, "what could not be read is not written")
}
