package register

import (
	"context"
	"errors"

	devices "github.com/choba-os/choba/services/devices/api"
	journal "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/till/book"
	"github.com/choba-os/choba/services/till/receipt"
	"github.com/choba-os/choba/services/till/sale"
)

// jobKey and commandKey name what is under way, in Register.ours.
type (
	jobKey     string
	commandKey string
)

func jobOf(e sale.Event) any {
	switch e := e.(type) {
	case sale.PrintResult:
		return jobKey(e.Job)
	case sale.DrawerResult:
		return commandKey(e.Command)
	}
	return nil
}

// see does what an event asks for. Drawer and paper go their own ways at once; neither waits for the other.
func (r *Register) see(effect sale.Effect, number string, proof journal.Proof) error {
	s, ok := r.book.Held(number)
	if !ok {
		return book.ErrOld
	}
	switch effect := effect.(type) {
	case sale.AskDrawer:
		return r.do(s.NextCommand(effect.Reason))
	case sale.AskPrint:
		return r.do(s.NextPrint(r.now()))
	case sale.SendDrawer:
		r.ours[commandKey(effect.Command)] = true
		go r.openDrawer(r.ctx, number, effect.Command, proof)
	case sale.SendPrint:
		return r.sendPrint(s, effect.Job)
	}
	return nil
}

func (r *Register) sendPrint(s sale.State, job sale.Job) error {
	r.ours[jobKey(job.ID)] = true
	lines, err := receipt.Build(r.cfg.Pack.Head(), s, job, r.cfg.Pack.Printer.Columns)
	if err == nil {
		select {
		case r.jobs <- printJob{s.Opened.Sale, devices.Job{ID: job.ID, Lines: paper(lines), Cut: true}}:
			return nil
		default:
			err = errors.New("too many receipts wait for the printer")
		}
	}
	r.late = append(r.late, sale.PrintResult{Sale: s.Opened.Sale, Job: job.ID, State: sale.JobNotDone, Reason: cut(err.Error())})
	return err
}

// printJob is a receipt on its way to the printer.
type printJob struct {
	sale string
	job  devices.Job
}

func paper(lines []receipt.Line) []devices.Line {
	out := make([]devices.Line, len(lines))
	for i, l := range lines {
		out[i] = devices.Line{Text: l.Text, Right: l.Right, Bold: l.Bold, Wide: l.Wide, Tall: l.Tall, Rule: l.Rule, Feed: l.Feed}
		if l.Center {
			out[i].Align = devices.AlignCenter
		}
	}
	return out
}

// openDrawer sends one command and reports what became of it.
func (r *Register) openDrawer(ctx context.Context, number, command string, proof journal.Proof) {
	ctx, cancel := context.WithTimeout(ctx, drawerTime)
	defer cancel()
	result, err := r.printer.Open(ctx, devices.Command{Proof: proof})
	e := sale.DrawerResult{Sale: number, Command: command, State: sale.DrawerFailed, Reason: cut(result.Reason)}
	switch {
	case err != nil:
		if e.Reason = cut(err.Error()); mayHaveHappened(err) {
			e.State = sale.DrawerUnknown
		}
	case result.State == devices.Done:
		e.State = sale.DrawerOpened
	case result.State == devices.Unknown:
		e.State = sale.DrawerUnknown
	}
	r.report(e)
}

// printJobs sends receipts one after the other: a printer prints one at a time, and one that has no paper makes the next ones wait too.
func (r *Register) printJobs(ctx context.Context) {
	for {
		select {
		case job := <-r.jobs:
			r.report(r.printOne(ctx, job))
		case <-ctx.Done():
			return
		}
	}
}

func (r *Register) printOne(ctx context.Context, p printJob) sale.Event {
	ctx, cancel := context.WithTimeout(ctx, printTime)
	defer cancel()
	result, err := r.printer.Print(ctx, p.job)
	e := sale.PrintResult{Sale: p.sale, Job: p.job.ID, State: sale.JobNotDone, Reason: cut(result.Reason)}
	switch {
	case err != nil:
		if e.Reason = cut(err.Error()); mayHaveHappened(err) {
			e.State = sale.JobUnknown
		}
	case result.State == devices.Done:
		e.State = sale.JobDone
	case result.State == devices.Unknown:
		e.State = sale.JobUnknown
	}
	return e
}

// mayHaveHappened: only a refusal, or a service that was not reached, is certain to have done nothing.
func mayHaveHappened(err error) bool {
	switch link.KindOf(err) {
	case link.BadRequest, link.Denied, link.NotFound, link.Conflict, link.Unavailable, link.Full:
		return false
	}
	return true
}

// cut keeps a reason within what an event may hold.
func cut(reason string) string {
	const most = 200
	if len(reason) <= most {
		return reason
	}
	for i := range reason {
		if i > most-4 {
			return reason[:i] + "…"
		}
	}
	return reason
}

func (r *Register) report(e sale.Event) {
	select {
	case r.results <- e:
	case <-r.ctx.Done(): // the next start says "unknown"
	}
}

// settleLate records the results that have come, as far as the journal takes them.
func (r *Register) settleLate() {
	for len(r.late) > 0 && r.down == nil {
		e := r.late[0]
		err := r.do(e)
		if errors.Is(err, errJournal) {
			return
		}
		if err != nil && !errors.Is(err, sale.ErrJob) { // ErrJob: it was recorded, only the answer was lost
			r.cfg.Log.WithError(err).Warn("a result came for something that is not under way")
		}
		r.late = r.late[1:]
		delete(r.ours, jobOf(e))
		if err == nil {
			r.explain(e)
		}
	}
}
