package register

import (
	"context"
	"errors"
	"fmt"
	"time"

	devices "github.com/choba-os/choba/services/devices/api"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/till/barcode"
	"github.com/choba-os/choba/services/till/book"
	"github.com/choba-os/choba/services/till/catalogue"
	"github.com/choba-os/choba/services/till/sale"
)

// scan is one scan on its way to the main loop. The reader goes on when taken is closed, so that no scan is lost while the journal is away.
type scan struct {
	devices.Scan
	act   string // its identity in the book
	lost  uint64 // scans before it that the scanner no longer had
	taken chan struct{}
}

// retryTime is the pause before a service that went away is asked again.
const retryTime = 300 * time.Millisecond

// readScans follows the scanner's numbers, over its restarts and ours: each scan is handed on once.
func (r *Register) readScans(ctx context.Context, last uint64) {
	for life := 0; ctx.Err() == nil; {
		first := true
		err := r.scanner.Scans(ctx, last, func(s devices.Scan) error {
			switch {
			case first && s.Seq <= last: // it counts from 1 again: the scanner's program was restarted
				life++
				last = 0
			case s.Seq <= last:
				return fmt.Errorf("scan %d after scan %d", s.Seq, last)
			}
			first = false
			one := scan{s, fmt.Sprintf("scan.%s.%d.%d", r.run, life, s.Seq), s.Seq - last - 1, make(chan struct{})}
			if err := r.hand(ctx, one); err != nil {
				return err
			}
			last = s.Seq
			return nil
		})
		if err != nil && ctx.Err() == nil {
			r.cfg.Log.WithError(err).Debug("the scanner's stream ended")
		}
		pause(ctx)
	}
}

func (r *Register) hand(ctx context.Context, s scan) error {
	select {
	case r.scans <- s:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-s.taken:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func pause(ctx context.Context) {
	select {
	case <-time.After(retryTime):
	case <-ctx.Done():
	}
}

// takeScan deals with the scan that waits, unless the journal is away.
func (r *Register) takeScan() {
	s := r.waiting
	if s == nil || r.down != nil {
		return
	}
	if s.Test != "" {
		r.takeTest(s)
		return
	}
	err := r.takeOne(*s)
	if errors.Is(err, errJournal) {
		return
	}
	r.waiting = nil
	close(s.taken)
	if err == nil || errors.Is(err, book.ErrRepeated) { // repeated: it was recorded, only the answer was lost
		r.message = nil
	} else {
		r.unheard(r.explainError(err))
	}
	if s.lost > 0 {
		r.unheard(r.say(msgScansLost, s.lost))
	}
	r.publish()
}

// maxUnread bounds the scans that wait to be confirmed; who has that many has put the scanner down long ago.
const maxUnread = 99

// unheard keeps what became of a scan that registered nothing until a person has confirmed it: the next good scan must not wipe away that goods lie in the bag
// that are not on the list.
func (r *Register) unheard(m *api.Message) {
	if m != nil && len(r.unread) < maxUnread {
		r.unread = append(r.unread, m)
	}
}

func (r *Register) takeOne(s scan) error {
	if s.Bad != "" {
		return refusal{msgBadScan, nil}
	}
	a, err := r.find(s.Code, true)
	if err != nil {
		return err
	}
	return r.add(a, 1, s.Seq, s.act)
}

// find gives the article of a code. A scanner that sends fewer than six digits has read half a code; a person may type them.
func (r *Register) find(text string, scanned bool) (catalogue.Article, error) {
	code, err := barcode.Parse(text)
	switch {
	case err != nil && errors.Is(err, barcode.ErrCheck):
		return catalogue.Article{}, refusal{msgCheckDigit, []any{masked(text)}}
	case err != nil, scanned && code.Kind == barcode.Number && len(text) < barcode.NumberDigits:
		return catalogue.Article{}, refusal{msgBadCode, []any{masked(text)}}
	}
	if a, ok := r.catalogue.Find(code.Text); ok {
		return a, nil
	}
	if code.Kind == barcode.InStore {
		return catalogue.Article{}, refusal{msgInStore, []any{masked(text)}}
	}
	return catalogue.Article{}, refusal{msgUnknownCode, []any{masked(text)}}
}

// masked is a code as a message may show it: short, and without the middle of what is longer than any article's code and could be a card's number.
func masked(text string) string {
	if len(text) <= 13 {
		return text
	}
	return text[:6] + "…" + text[len(text)-4:]
}

// add puts pieces of an article into the sale, opening one when none is open.
func (r *Register) add(a catalogue.Article, qty int, seq uint64, act string) error {
	switch r.book.Sale.Phase {
	case sale.Tendering:
		return refusal{msgInTender, []any{a.Name, a.NameEn}}
	case sale.None, sale.Void, sale.Complete:
		if err := r.open(); err != nil {
			return err
		}
	}
	e := r.book.Sale.Item(a, qty)
	e.Scan, e.Act = seq, act
	return r.do(e)
}
