package register

import (
	"fmt"

	devices "github.com/choba-os/choba/services/devices/api"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/till/day"
	"github.com/choba-os/choba/services/till/sale"
)

// view builds the whole View from the state.
func (r *Register) view(rev uint64) api.View {
	now, s := r.now(), r.book.Sale
	v := api.View{
		Rev: rev, Phase: r.phase(), Shop: r.cfg.Pack.Shop.Name, Register: r.cfg.Pack.Register,
		Operator: api.Operator{ID: r.operator.ID, Name: r.operator.Name, Role: r.operator.Role},
		Receipt:  r.book.Number(), Business: day.Of(now).String(), Now: now, TaxInside: r.cfg.Pack.Tax.Included,
		Lines: []api.Line{}, Rates: []api.RateSum{}, Quick: []int64{}, Tenders: r.tenders(), Devices: r.deviceViews(),
	}
	v.Message = r.toSay()
	v.Software, v.Update, v.Insecure = r.software(), r.updateNotice(), r.insecure()
	if s.Phase == sale.Open {
		v.Receipt = s.Opened.Sale // also while it has no lines yet
	}
	if v.Phase == api.PhaseSale || v.Phase == api.PhaseTender || v.Phase == api.PhaseDone {
		r.viewSale(&v, s)
	}
	return v
}

// toSay is the message for the screen: why nothing can be sold, else the oldest scan that registered nothing, else the newest message.
func (r *Register) toSay() *api.Message {
	m := r.message
	if r.down == nil && len(r.unread) > 0 {
		m = r.unread[0]
	}
	if m == nil {
		return nil
	}
	out := *m
	if more := len(r.unread) - 1; r.down == nil && more > 0 {
		out.Text += fmt.Sprintf("(ほか%d件)", more)
		out.TextEn += fmt.Sprintf(" (%d more)", more)
	}
	return &out
}

func (r *Register) phase() api.Phase {
	s := r.book.Sale
	switch {
	case !r.started && r.down != nil:
		return api.PhaseStarting
	case s.Phase == sale.Open && len(s.Lines) > 0:
		return api.PhaseSale
	case s.Phase == sale.Tendering:
		return api.PhaseTender
	case s.Phase == sale.Complete && !s.Dismissed:
		return api.PhaseDone
	}
	return api.PhaseIdle
}

func (r *Register) viewSale(v *api.View, s sale.State) {
	v.Receipt, v.Business, v.Count = s.Opened.Sale, s.Opened.Business.String(), s.Count()
	v.Operator.ID, v.Operator.Name = s.Opened.Operator.ID, s.Opened.Operator.Name
	for _, l := range s.Lines {
		rate, _ := s.Opened.Terms.Rate(l.Item.Tax)
		v.Lines = append(v.Lines, api.Line{
			ID: l.ID, Name: l.Item.Name, NameEn: l.Item.NameEn, Code: l.Item.Code, Unit: int64(l.Item.Price), Qty: l.Qty,
			Amount: int64(l.Amount), Reduced: rate.Reduced, Last: l.ID == s.Last,
		})
	}
	sums, err := s.Sums()
	total, err2 := s.Total()
	if err != nil || err2 != nil { // Apply lets no such sale come about
		r.cfg.Log.WithField("sale", v.Receipt).Error("a sale cannot be added up")
		return
	}
	for _, sum := range sums {
		v.Rates = append(v.Rates, api.RateSum{Percent: int(sum.Points) / 100, Reduced: sum.Reduced, Base: int64(sum.Base), Tax: int64(sum.Tax)})
	}
	v.Total, v.Paid = int64(total), int64(s.Paid())
	if s.Phase == sale.Complete {
		v.Change = int64(s.Completed.Change)
		v.Print, v.Drawer = r.printView(s), drawerView(s)
		return
	}
	v.Quick = r.cfg.Pack.Quick.Amounts(total)
}

func (r *Register) tenders() []api.Tender {
	out := make([]api.Tender, len(r.cfg.Pack.Tenders))
	for i, t := range r.cfg.Pack.Tenders {
		out[i] = api.Tender{ID: t.ID, Name: t.Name, NameEn: t.NameEn, Kind: t.Kind, Enabled: t.Enabled}
	}
	return out
}

func (r *Register) printView(s sale.State) api.PrintState {
	switch s.Printed() {
	case sale.JobAsked:
		if d := r.devices[rolePrinter]; d.Text == devices.TextPaperOut || d.Text == devices.TextCoverOpen {
			w := deviceWords[d.Text]
			return api.PrintState{State: "printing", Text: w.ja, TextEn: w.en}
		}
		return api.PrintState{State: "printing", Text: "レシートを印刷しています", TextEn: "Printing the receipt"}
	case sale.JobDone:
		return api.PrintState{State: "done", Text: "レシートを印刷しました", TextEn: "Receipt printed"}
	case sale.JobNotDone:
		return api.PrintState{State: "not-done", Text: "レシートを印刷できませんでした", TextEn: "The receipt was not printed"}
	case sale.JobUnknown:
		return api.PrintState{State: "unknown", Text: "印刷されたか確認してください", TextEn: "Check whether it was printed"}
	}
	return api.PrintState{}
}

func drawerView(s sale.State) api.DrawerState {
	switch s.DrawerState() {
	case sale.DrawerWaiting:
		return api.DrawerState{State: "opening", Text: "ドロアを開けています", TextEn: "Opening the drawer"}
	case sale.DrawerOpened:
		return api.DrawerState{State: "opened", Text: "ドロアが開きました", TextEn: "Drawer open"}
	case sale.DrawerFailed:
		return api.DrawerState{State: "failed", Text: "ドロアが開きません。鍵で開けてください", TextEn: "The drawer did not open. Use the key"}
	case sale.DrawerUnknown:
		return api.DrawerState{State: "unknown", Text: "ドロアが開いたか確認してください", TextEn: "Check whether the drawer opened"}
	}
	return api.DrawerState{}
}
