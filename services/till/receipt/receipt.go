// Package receipt says what stands on a receipt, line by line: a 適格簡易請求書 (qualified simplified invoice, 消費税法 57条の4第2項) that is a
// 領収書 as well.
//
// It is not a printer: it knows columns, not dots, and no command of any device. The rule that keeps it small: a receipt is a function of the shop and of one
// completed sale, so that the same receipt can be made again from the journal at any time.
package receipt

import (
	"errors"
	"fmt"
	"time"

	"github.com/choba-os/choba/services/till/day"
	"github.com/choba-os/choba/services/till/money"
	"github.com/choba-os/choba/services/till/sale"
	"github.com/choba-os/choba/services/till/tax"
)

// Shop is the head of every receipt.
type Shop struct {
	Name         string           `json:"name"`
	Address      string           `json:"address"`
	Phone        string           `json:"phone"`
	Registration tax.Registration `json:"registration"` // empty when the seller is not registered
}

// Line is one line of paper: Text at the left or as Align says, Right at the right edge. Both always fit.
type Line struct {
	Text, Right      string
	Bold, Wide, Tall bool
	Center           bool
	Rule             bool // a line across the paper
	Feed             int  // dots of white below
}

// Columns that receipts are made for: 58 mm and 80 mm paper in a font of 12 dots.
const (
	Narrow = 32
	Normal = 48
)

// Mark stands behind every amount at a reduced rate.
const Mark = "※"

// stampFrom is the amount without tax from which a cash receipt needs a revenue stamp (印紙税法 別表第一 17号); the tax is shown apart, so it is not counted.
const stampFrom money.Yen = 50_000

// ErrOpen says that there is no receipt for a sale that is not completed.
var ErrOpen = errors.New("making a receipt: the sale is not completed")

// Build gives the receipt of a completed sale on paper of that many columns. Job says which of the sale's receipts it is.
func Build(shop Shop, s sale.State, job sale.Job, cols int) ([]Line, error) {
	if s.Phase != sale.Complete {
		return nil, ErrOpen
	}
	sums, err := s.Sums()
	if err != nil {
		return nil, fmt.Errorf("making a receipt: %w", err)
	}
	p := paper{cols: cols}
	p.head(shop)
	p.title(s, job)
	p.rule()
	for _, l := range s.Lines {
		p.item(s, l)
	}
	p.rule()
	p.totals(s, sums)
	p.foot(s, sums)
	return p.lines, nil
}

type paper struct {
	cols  int
	lines []Line
}

func (p *paper) put(l Line) { p.lines = append(p.lines, l) }
func (p *paper) rule()      { p.put(Line{Rule: true}) }

// both puts an amount at the right, on a line of its own when the text leaves no room.
func (p *paper) both(text, right string) {
	if Width(text)+1+Width(right) <= p.cols {
		p.put(Line{Text: text, Right: right})
		return
	}
	p.left(text)
	p.put(Line{Right: right})
}

func (p *paper) left(text string) {
	for _, piece := range wrap(text, p.cols) {
		p.put(Line{Text: piece})
	}
}

func (p *paper) center(text string, l Line) {
	cols := p.cols
	if l.Wide {
		cols /= 2
	}
	for _, piece := range wrap(text, cols) {
		l.Text, l.Center = piece, true
		p.put(l)
	}
}

// head: who issues it (57条の4第2項1号).
func (p *paper) head(shop Shop) {
	p.center(shop.Name, Line{Bold: true, Tall: true, Wide: Width(shop.Name)*2 <= p.cols})
	p.center(shop.Address, Line{})
	p.center("TEL "+shop.Phone, Line{})
	if shop.Registration != "" {
		p.center("登録番号 "+string(shop.Registration), Line{})
	}
	p.lines[len(p.lines)-1].Feed = 12
}

// title: what it is, when it was (2号), and how to find it again.
func (p *paper) title(s sale.State, job sale.Job) {
	p.center("領 収 書", Line{Bold: true})
	if job.Reissue {
		p.center("【再発行】", Line{Bold: true})
		p.center("再発行日時 "+stamp(job.At), Line{})
	}
	p.both(stamp(s.Completed.At), "レジ"+s.Opened.Register)
	p.both("責:"+s.Opened.Operator.Name, "No."+s.Opened.Sale)
}

func stamp(at time.Time) string { return day.Of(at).Japanese() + " " + at.Format("15:04") }

// item: what was sold, and whether at a reduced rate (3号).
func (p *paper) item(s sale.State, l sale.Line) {
	right := l.Amount.String() + "  " // keeps the amounts under each other, with the mark or without
	if rate, _ := s.Opened.Terms.Rate(l.Item.Tax); rate.Reduced {
		right = l.Amount.String() + Mark
	}
	if l.Qty == 1 {
		p.both(l.Item.Name, right)
		return
	}
	p.left(l.Item.Name)
	p.both(fmt.Sprintf("  %s × %d", l.Item.Price, l.Qty), right)
}

// totals: for each rate what was paid and the tax in it (4号, 5号; printing both rate and tax is more than is asked).
func (p *paper) totals(s sale.State, sums []tax.Sum) {
	total := s.Completed.Total.String()
	p.put(Line{Text: "合計", Right: total, Bold: true, Tall: true, Wide: 2*(Width("合計")+1+Width(total)) <= p.cols})
	for _, sum := range sums {
		base, taxed := "税込", "内消費税等"
		if !s.Opened.Terms.Included {
			base, taxed = "税抜", "消費税等"
		}
		p.both(fmt.Sprintf("  (%s%%対象 %s", sum.Points.Percent(), base), sum.Base.String()+")")
		p.both("  ("+taxed, sum.Tax.String()+")")
	}
	p.both("  お預り", s.Completed.Paid.String())
	p.both("  お釣り", s.Completed.Change.String())
	p.lines[len(p.lines)-1].Feed = 12
}

func (p *paper) foot(s sale.State, sums []tax.Sum) {
	p.put(Line{Text: "上記正に領収いたしました。"})
	for _, sum := range sums {
		if sum.Reduced {
			p.left(fmt.Sprintf("%s印は軽減税率(%s%%)対象商品です。", Mark, sum.Points.Percent()))
		}
	}
	p.revenueStamp(sums)
	p.lines[len(p.lines)-1].Feed = 24
}

// revenueStamp leaves the place for one. Cash is the only tender so far; others will not count.
func (p *paper) revenueStamp(sums []tax.Sum) {
	var net money.Yen
	for _, sum := range sums {
		net += sum.Due - sum.Tax
	}
	if net < stampFrom {
		return
	}
	p.lines[len(p.lines)-1].Feed = 12
	for _, text := range []string{"┌──────┐", "│ 要収入印紙 │", "│            │", "│            │", "└──────┘"} {
		p.put(Line{Right: text})
	}
}
