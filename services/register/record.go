package register

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	journal "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/till/book"
	"github.com/choba-os/choba/services/till/sale"
)

// How the register and its record stay one.
//
// An event is applied to a copy of the book first; if it does not fit, nothing happens. Then it is appended. Only when the journal says that it is on disk does the
// copy become the book. When the journal does not say so, the event may be there or not, and the register does nothing more until it knows: it appends
// a mark (sale.resumed), which the journal can only take after everything that it took before, and then reads its own entries up to the mark. What was recorded is
// in the book then; what was not did not happen. Touches and scans carry an identity, and the book takes each only once, so whoever sends one again does no harm.
//
// A start is the same thing with an empty book. After a restart within one boot there is a pause and a second reading, because the journal may still be taking the last
// entry of the run that was killed. Known hole: one that it takes more than half a second after the mark of the next run. An append under the condition "after entry n",
// in the journal, would close it.

var (
	errNotYet  = errors.New("the journal was not read yet")
	errJournal = errors.New("the journal does not answer")
	errRefused = errors.New("the journal refuses this")
)

// kindResumed marks the place from which a run of this program works on. It is no event of a sale.
const kindResumed = "sale.resumed"

// self is how the journal names this service.
const self = "register"

// do records an event, shows it, and sees to what must happen then. The error is one of the sale's (it does not fit), or errJournal.
func (r *Register) do(e sale.Event) error {
	effects, proof, err := r.record(e)
	if err != nil {
		return err
	}
	r.publish()
	for _, effect := range effects {
		if err := r.see(effect, e.Of(), proof); err != nil {
			// The event itself is recorded: a paid sale stays paid without paper and drawer, and the View says what is missing.
			r.cfg.Log.WithError(err).WithField("sale", e.Of()).Warn("paper or drawer could not be asked for")
		}
	}
	return nil
}

func (r *Register) record(e sale.Event) ([]sale.Effect, journal.Proof, error) {
	var none journal.Proof
	if r.down != nil {
		return nil, none, errJournal
	}
	kind, content, err := sale.Encode(e)
	if err != nil {
		return nil, none, err
	}
	read, err := sale.Decode(kind, content) // so that live and replayed are the same to the last bit
	if err != nil {
		return nil, none, err
	}
	next, effects, err := book.Apply(r.book, read)
	if err != nil {
		return nil, none, err
	}
	proof, err := r.append(kind, content)
	if k := link.KindOf(err); k == link.BadRequest || k == link.Denied {
		r.cfg.Log.WithError(err).WithField("kind", kind).Error("the journal refuses an event")
		return nil, none, errRefused // for certain not recorded
	}
	if err != nil {
		r.lose(err)
		return nil, none, errJournal
	}
	r.book, r.seq = next, proof.Index+1
	return effects, proof, nil
}

func (r *Register) append(kind string, content []byte) (journal.Proof, error) {
	r.cfg.Alive() // waiting for a slow disk is work too
	ctx, cancel := context.WithTimeout(r.ctx, appendTime)
	defer cancel()
	return r.journal.Append(ctx, journal.Event{Kind: kind, Person: r.operator.ID, Content: content})
}

// lose stops everything until resume has found out where we are.
func (r *Register) lose(err error) {
	if r.ctx.Err() != nil {
		return // the machine is going down; the next start will find out
	}
	if r.down == nil || r.down.Error() != err.Error() {
		r.cfg.Log.WithError(err).Error("the journal cannot be used; nothing is sold until it can")
	}
	r.down = err
	text := msgJournal
	switch {
	case link.KindOf(err) == link.Full:
		text = msgJournalFull
	case errors.Is(err, errContent):
		text = msgJournalContent
	case !r.started:
		text = msgStarting
	}
	r.message = r.say(text)
	r.publish()
}

var errContent = errors.New("the register's own record does not fit together")

// resume brings the book up to the record and takes up the work again.
func (r *Register) resume() {
	if r.pause > 0 {
		r.pause--
		return
	}
	content, err := json.Marshal(map[string]string{"run": r.run})
	if err != nil {
		r.lose(err)
		return
	}
	mark, err := r.append(kindResumed, content)
	if err != nil {
		r.lose(err)
		return
	}
	if r.boot, err = bootOf(mark); err != nil {
		r.lose(err)
		return
	}
	if r.started {
		err = r.replay(r.seq)
	} else {
		err = r.replayAll(mark.Size)
	}
	if err != nil {
		r.lose(err)
		return
	}
	r.seq = max(r.seq, mark.Index+1)
	if !r.started && r.killed && !r.paused {
		r.pause, r.paused = pauseTicks, true
		return
	}
	r.down, r.message = nil, nil
	r.settle()
	r.publish()
}

// bootOf gives the machine's boot in which an entry was written.
func bootOf(p journal.Proof) (string, error) {
	var e journal.Entry
	if err := json.Unmarshal(p.Entry, &e); err != nil {
		return "", fmt.Errorf("reading the mark: %w", err)
	}
	return e.Boot, nil
}

// window is how far back a start looks first. What is on the counter is among the newest entries; a register that is years old need not read them all.
const window = 4096

// replayAll fills the book from the newest entries, far enough back to meet the opening of a sale, or from the very first.
func (r *Register) replayAll(size uint64) error {
	for back := uint64(window); ; back *= 4 {
		r.book = book.State{}
		from := size - min(size, back)
		if err := r.replay(from); err != nil {
			return err
		}
		if from == 0 || r.book.Next != 0 {
			return nil
		}
	}
}

// replay applies the register's own entries from one on.
func (r *Register) replay(from uint64) error {
	next, seq, scanned, killed := r.book, r.seq, r.scanned, false
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	stuck := time.AfterFunc(appendTime, cancel)
	defer stuck.Stop()
	err := r.journal.Read(ctx, from, func(e journal.Entry) error {
		r.cfg.Alive()
		stuck.Reset(appendTime)
		seq = max(seq, e.Seq+1)
		if e.Service != self || e.Kind == kindResumed {
			return nil
		}
		killed = e.Boot == r.boot
		event, err := sale.Decode(e.Kind, e.Content)
		if errors.Is(err, sale.ErrKind) && !slices.ContainsFunc([]string{"sale.", "print.", "drawer."}, func(own string) bool { return strings.HasPrefix(e.Kind, own) }) {
			return nil // cash and day are not in this book
		}
		if err != nil {
			return fmt.Errorf("%w: entry %d: %w", errContent, e.Seq, err)
		}
		after, _, err := book.Apply(next, event)
		switch {
		case errors.Is(err, book.ErrRepeated), errors.Is(err, book.ErrOld):
			return nil // sent twice; or about a sale from before the window
		case err != nil:
			return fmt.Errorf("%w: entry %d: %w", errContent, e.Seq, err)
		}
		next = after
		if i, ok := event.(sale.ItemAdded); ok && i.Scan > 0 && e.Boot == r.boot {
			scanned = i.Scan
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the record from entry %d on: %w", from, err)
	}
	r.book, r.seq, r.scanned, r.killed = next, seq, scanned, killed
	return nil
}

// settle ends what an interruption left half done. Whatever fails here is tried again at the next resume.
func (r *Register) settle() {
	first := !r.started
	for _, e := range r.book.Unsettled() {
		if r.ours[jobOf(e)] {
			continue
		}
		e = r.lost(e, first)
		if r.ask(e); r.down != nil {
			return
		}
		r.explain(e)
	}
	s := r.book.Sale
	if s.Phase == sale.Tendering && len(s.Payments) > 0 {
		r.ask(sale.TenderLeft{Sale: s.Opened.Sale, Why: "interrupted"})
		r.message = r.say(msgInterrupted)
	}
	if s.Phase == sale.Complete && !s.Dismissed {
		r.settleComplete(first)
	}
	if r.down != nil {
		return
	}
	if first {
		r.started = true
		r.cfg.Log.WithField("sale", r.book.Number()).Info("the record is replayed")
		go r.readScans(r.ctx, r.scanned)
		r.sayReady()
	}
	r.settleLate()
	r.takeScan()
}

// lost says what became of a job or command whose sender is gone. Of one that this run recorded without ever sending it, it is certain that nothing happened.
func (r *Register) lost(e sale.Event, first bool) sale.Event {
	const restart, unsent = "the register was restarted", "it was recorded but not sent"
	switch e := e.(type) {
	case sale.PrintResult:
		if e.Reason = restart; !first {
			e.State, e.Reason = sale.JobNotDone, unsent
		}
		return e
	case sale.DrawerResult:
		if e.Reason = restart; !first {
			e.State, e.Reason = sale.DrawerFailed, unsent
		}
		return e
	}
	return e
}

// settleComplete goes on after a sale that was completed and is still on the screen. After a restart a person decides: nothing is printed twice silently, and no
// drawer opens in a shop where nobody may be.
func (r *Register) settleComplete(first bool) {
	s := r.book.Sale
	if first {
		r.message = r.say(msgCompleted)
		if s.Printed() == sale.JobUnknown {
			r.message = r.say(msgReprint, s.Opened.Sale)
		}
		return
	}
	if s.DrawerState() == "" {
		r.ask(s.NextCommand("sale"))
	}
	if s.Printed() == "" {
		r.ask(s.NextPrint(r.now()))
	}
}

// ask is do for what the register does by itself, when there is nobody to tell of an error.
func (r *Register) ask(e sale.Event) {
	if err := r.do(e); err != nil {
		r.cfg.Log.WithError(err).WithField("sale", e.Of()).Warn("an interruption could not be settled")
	}
}
