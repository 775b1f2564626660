package state_test

import (
	"strings"
	"testing"
	"time"

	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/screen/state"
	"github.com/stretchr/testify/require"
)

const rows = 5

func sale() api.View {
	return api.View{
		Phase: api.PhaseSale, Receipt: "1", Total: 1500,
		Lines: []api.Line{{ID: 11, Qty: 1}, {ID: 12, Qty: 3, Last: true}, {ID: 13, Qty: 1}},
		Tenders: []api.Tender{
			{ID: "cash", Name: "現金", NameEn: "Cash", Kind: "cash", Enabled: true}, {ID: "qr", Name: "QR決済", NameEn: "QR payment", Kind: "qr"},
		},
	}
}

func in(p api.Phase) api.View {
	v := sale()
	v.Phase = p
	return v
}

func TestTouches(t *testing.T) {
	empty := api.View{Phase: api.PhaseIdle, Tenders: sale().Tenders}
	for name, c := range map[string]struct {
		v    api.View
		ui   state.UI
		id   string
		want *api.Act
		next state.UI
		says string // part of the notice
	}{
		"digit":                     {v: sale(), ui: state.UI{Entry: "4"}, id: "key:9", next: state.UI{Entry: "49"}},
		"leading zeros are kept":    {v: sale(), id: "key:00", next: state.UI{Entry: "00"}},
		"backspace":                 {v: sale(), ui: state.UI{Entry: "49"}, id: "key:back", next: state.UI{Entry: "4"}},
		"backspace of nothing":      {v: sale(), id: "key:back"},
		"clear":                     {v: sale(), ui: state.UI{Entry: "49"}, id: "key:clear"},
		"code":                      {v: sale(), ui: state.UI{Entry: "000012"}, id: "key:enter", want: &api.Act{Op: api.OpCode, Code: "000012"}},
		"no code":                   {v: sale(), id: "key:enter", says: "番号"},
		"too many digits":           {v: sale(), ui: state.UI{Entry: strings.Repeat("1", state.MaxCode)}, id: "key:1", next: state.UI{Entry: strings.Repeat("1", state.MaxCode)}, says: "これ以上"},
		"quantity of the last line": {v: sale(), ui: state.UI{Entry: "3"}, id: "key:quantity", want: &api.Act{Op: api.OpQuantity, Line: 12, Qty: 3}},
		"quantity of a chosen line": {v: sale(), ui: state.UI{Entry: "3", Line: 11}, id: "key:quantity", want: &api.Act{Op: api.OpQuantity, Line: 11, Qty: 3}, next: state.UI{Line: 11}},
		"no quantity":               {v: sale(), id: "key:quantity", says: "個数"},
		"zero pieces":               {v: sale(), ui: state.UI{Entry: "0"}, id: "key:quantity", says: "999"},
		"a code as quantity":        {v: sale(), ui: state.UI{Entry: "4901234567894"}, id: "key:quantity", says: "999"},
		"quantity of nothing":       {v: empty, ui: state.UI{Entry: "3"}, id: "key:quantity", next: state.UI{Entry: "3"}, says: "先に"},
		"choose a line":             {v: sale(), id: "line:11", next: state.UI{Line: 11}},
		"remove":                    {v: sale(), ui: state.UI{Line: 13}, id: "remove", want: &api.Act{Op: api.OpRemove, Line: 13}},
		"more":                      {v: sale(), id: "more", want: &api.Act{Op: api.OpQuantity, Line: 12, Qty: 4}},
		"less":                      {v: sale(), id: "less", want: &api.Act{Op: api.OpQuantity, Line: 12, Qty: 2}},
		"less than one":             {v: sale(), ui: state.UI{Line: 11}, id: "less", next: state.UI{Line: 11}, says: "行取消"},
		"cancel asks first":         {v: sale(), id: "cancel", next: state.UI{Panel: state.CancelPanel}},
		"cancel, sure":              {v: sale(), ui: state.UI{Panel: state.CancelPanel, Entry: "1"}, id: "cancel-yes", want: &api.Act{Op: api.OpCancel}},
		"cancel, not sure":          {v: sale(), ui: state.UI{Panel: state.CancelPanel}, id: "close"},
		"cancel nothing":            {v: empty, id: "cancel", says: "ありません"},
		"cash":                      {v: sale(), ui: state.UI{Entry: "02000"}, id: "tender:cash", want: &api.Act{Op: api.OpTender}, next: state.UI{Entry: "2000"}},
		"cash of nothing":           {v: empty, id: "tender:cash", says: "先に"},
		"a tender that is off":      {v: sale(), id: "tender:qr", says: "まだ使えません"},
		"an unknown tender":         {v: sale(), id: "tender:gold"},
		"quick amount":              {v: sale(), id: "quick:2000", want: &api.Act{Op: api.OpCash, Amount: 2000}},
		"rubbish amount":            {v: sale(), id: "quick:x"},
		"exact":                     {v: in(api.PhaseTender), id: "exact", want: &api.Act{Op: api.OpCash}},
		"exact of nothing":          {v: empty, id: "exact", says: "先に"},
		"amount":                    {v: in(api.PhaseTender), ui: state.UI{Entry: "2000"}, id: "pay", want: &api.Act{Op: api.OpCash, Amount: 2000}, next: state.UI{Entry: "2000"}},
		"no amount":                 {v: in(api.PhaseTender), id: "pay", says: "金額"},
		"too little":                {v: in(api.PhaseTender), ui: state.UI{Entry: "1499"}, id: "pay", next: state.UI{Entry: "1499"}, says: "足りません"},
		"ten thousand":              {v: in(api.PhaseTender), ui: state.UI{Entry: "1"}, id: "key:0000", next: state.UI{Entry: "10000"}},
		"an amount has no zeros":    {v: in(api.PhaseTender), id: "key:00"},
		"an amount has 8 digits":    {v: in(api.PhaseTender), ui: state.UI{Entry: "12345678"}, id: "key:0", next: state.UI{Entry: "12345678"}, says: "これ以上"},
		"back":                      {v: in(api.PhaseTender), ui: state.UI{Entry: "5"}, id: "back", want: &api.Act{Op: api.OpBack}},
		"next":                      {v: in(api.PhaseDone), id: "next", want: &api.Act{Op: api.OpNext}},
		"print":                     {v: in(api.PhaseDone), id: "print", want: &api.Act{Op: api.OpPrint}},
		"drawer":                    {v: in(api.PhaseDone), id: "drawer", want: &api.Act{Op: api.OpDrawer}},
		"message read":              {v: sale(), id: "ack", want: &api.Act{Op: api.OpAck}},
		"devices":                   {v: sale(), id: "devices", next: state.UI{Panel: state.DevicesPanel}},
		"language":                  {v: sale(), id: "language", next: state.UI{Lang: state.English}},
		"language back":             {v: sale(), ui: state.UI{Lang: state.English}, id: "language", next: state.UI{Lang: state.Japanese}},
		"away":                      {v: sale(), ui: state.UI{Away: true}, id: "exact", next: state.UI{Away: true}},
		"language while away":       {ui: state.UI{Away: true}, id: "language", next: state.UI{Away: true, Lang: state.English}},
		"nothing":                   {v: sale(), ui: state.UI{Notice: state.Notice{Ja: "x"}}, id: ""},
	} {
		t.Run(name, func(t *testing.T) {
			next, act := c.ui.Touch(c.v, c.id, rows)
			require.Equal(t, c.want, act)
			if c.says != "" {
				require.Contains(t, next.Notice.Ja, c.says)
				require.NotEmpty(t, next.Notice.En)
				next.Notice = state.Notice{}
			}
			require.Equal(t, c.next, next)
		})
	}
}

// The names of the screen's keys that go straight through are the register's operations.
func TestPlainKeysAreOperations(t *testing.T) {
	require.Equal(t, []string{api.OpBack, api.OpNext, api.OpPrint, api.OpDrawer, api.OpAck},
		[]string{state.Back, state.Next, state.Print, state.OpenDrawer, state.Ack})
}

func many(n, last int) api.View {
	v := sale()
	v.Lines = nil
	for i := range n {
		v.Lines = append(v.Lines, api.Line{ID: i + 1, Qty: 1, Last: i+1 == last})
	}
	return v
}

func TestWindow(t *testing.T) {
	for name, c := range map[string]struct {
		v          api.View
		ui         state.UI
		first, end int
	}{
		"few":                         {many(3, 3), state.UI{}, 0, 3},
		"follows the end":             {many(20, 20), state.UI{}, 15, 20},
		"shows the line just changed": {many(20, 4), state.UI{}, 3, 8},
		"pinned":                      {many(20, 20), state.UI{Pinned: true, Top: 7}, 7, 12},
		"pinned too far":              {many(20, 20), state.UI{Pinned: true, Top: 70}, 15, 20},
		"pinned before the start":     {many(20, 20), state.UI{Pinned: true, Top: -3}, 0, 5},
		"none":                        {many(0, 0), state.UI{Pinned: true, Top: 7}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			first, end := c.ui.Window(c.v, rows)
			require.Equal(t, []int{c.first, c.end}, []int{first, end})
		})
	}
}

func TestPaging(t *testing.T) {
	v, ui := many(12, 12), state.UI{}
	ui, _ = ui.Touch(v, state.PageUp, rows)
	require.Equal(t, 3, ui.Top)
	ui, _ = ui.Touch(v, state.PageUp, rows)
	require.Equal(t, 0, ui.Top)
	ui, _ = ui.Touch(v, "line:2", rows)
	first, _ := ui.Window(v, rows)
	require.Zero(t, first, "choosing a line does not move the list")
	for range 5 {
		ui, _ = ui.Touch(v, state.PageDown, rows)
	}
	require.Equal(t, 7, ui.Top)
	ui = ui.Follow(v, many(13, 13))
	require.Equal(t, state.UI{}, ui, "a scan shows the new line")
}

func TestFollow(t *testing.T) {
	open := state.UI{Entry: "5000", Line: 11, Panel: state.CancelPanel, Away: true, Lang: state.English, Notice: state.Notice{Ja: "x"}}
	got := open.Follow(sale(), sale())
	require.Equal(t, state.UI{Entry: "5000", Line: 11, Panel: state.CancelPanel, Lang: state.English, Notice: state.Notice{Ja: "x"}}, got, "nothing happened")
	got = open.Follow(sale(), in(api.PhaseTender))
	require.Equal(t, state.UI{Entry: "5000", Line: 11, Lang: state.English}, got, "what was typed is the amount")
	got = state.UI{Entry: "490123456"}.Follow(sale(), in(api.PhaseTender))
	require.Empty(t, got.Entry, "a code is no amount")
	got = state.UI{Entry: "3"}.Follow(in(api.PhaseIdle), sale())
	require.Equal(t, "3", got.Entry, "typed while the first article was scanned")
	got = state.UI{Entry: "3000"}.Follow(in(api.PhaseTender), sale())
	require.Empty(t, got.Entry, "an amount is no quantity")
	got = open.Follow(in(api.PhaseTender), in(api.PhaseDone))
	require.Empty(t, got.Entry)
}

func TestInformationFades(t *testing.T) {
	v := sale()
	require.Nil(t, state.UI{}.Message(v))
	at := time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)
	v.Message = &api.Message{Kind: "info", Code: "interrupted", At: at}
	require.NotNil(t, state.UI{}.Message(v))
	require.Nil(t, state.UI{Seen: at}.Message(v))
	v.Message.Kind = "error"
	require.NotNil(t, state.UI{Seen: at}.Message(v), "an error stays until it is read")
}

// Whatever is touched on whatever screen: no panic, and an entry of digits only, within its limits.
func FuzzTouch(f *testing.F) {
	f.Add("tender", "123", "key:0000", 11)
	f.Add("idle", "", "line:99999999999999999999", -1)
	f.Fuzz(func(t *testing.T, phase, entry, id string, line int) {
		if strings.Trim(entry, "0123456789") != "" || len(entry) > state.MaxCode {
			return
		}
		ui, act := state.UI{Entry: entry, Line: line}.Touch(in(api.Phase(phase)), id, rows)
		require.Empty(t, strings.Trim(ui.Entry, "0123456789"))
		require.LessOrEqual(t, len(ui.Entry), state.MaxCode)
		if act != nil {
			require.NotEmpty(t, act.Op)
			require.GreaterOrEqual(t, act.Amount, int64(0))
		}
	})
}
