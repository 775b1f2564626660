package printer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/choba-os/choba/drivers/escpos"
	"github.com/choba-os/choba/services/devices/api"
	journalapi "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/link"
)

const (
	// waiting is how many jobs may wait for their turn.
	waiting = 16
	// remembered is how many finished jobs are remembered in memory.
	remembered = 1000
	// recalled is how far back in the journal the last life is looked for.
	recalled = 20000
)

// jobs prints one job at a time, each at most once. What was begun is in the
// journal before its first byte, so that a restart knows it: a job that was
// begun and has no end is unknown, for ever.
type jobs struct {
	s     *Service
	queue chan *job

	mu   sync.Mutex // guards all below
	byID map[string]*job
	old  []string // finished ones, oldest first
}

type job struct {
	api.Job
	hash   string
	result api.Result
	done   chan struct{} // closed when result holds
}

// begun and ended are the contents of the entries.
type begun struct {
	Job  string `json:"job"`
	Hash string `json:"hash"`
}

type ended struct {
	Job    string `json:"job"`
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
}

func newJobs(s *Service) *jobs {
	return &jobs{s: s, queue: make(chan *job, waiting), byID: map[string]*job{}}
}

// goodID tells whether an id is 1 to 64 of A-Z a-z 0-9 . _ -
func goodID(id string) bool {
	return len(id) >= 1 && len(id) <= 64 && strings.Trim(id,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == ""
}

// print answers POST /v1/print.
func (s *Service) print(w http.ResponseWriter, r *http.Request) {
	var want api.Job
	if !link.Read(w, r, &want) {
		return
	}
	x, err := s.jobs.add(want)
	if err != nil {
		link.RefuseWith(w, err)
		return
	}
	select {
	case <-x.done:
		link.Reply(w, x.result)
	case <-r.Context().Done(): // the caller left; the job goes on and can be asked for again
	}
}

// add finds the job that was asked for, or begins it.
func (j *jobs) add(want api.Job) (*job, error) {
	if !goodID(want.ID) {
		return nil, &link.Error{Kind: link.BadRequest, Text: "a job's id is 1 to 64 letters, digits, '.', '_' and '-'"}
	}
	lines, err := linesOf(want)
	if err != nil {
		return nil, &link.Error{Kind: link.BadRequest, Text: err.Error()}
	}
	if err := escpos.Check(lines); err != nil {
		return nil, &link.Error{Kind: link.BadRequest, Text: err.Error()}
	}
	hash := hashOf(want)
	j.mu.Lock()
	defer j.mu.Unlock()
	if x, ok := j.byID[want.ID]; ok {
		if x.hash != hash {
			return nil, &link.Error{Kind: link.Conflict, Text: "job " + want.ID + " was asked for before with other lines"}
		}
		if !x.over() || x.result.State != api.NotDone {
			return x, nil
		}
	}
	x := &job{Job: want, hash: hash, done: make(chan struct{})}
	select {
	case j.queue <- x:
		j.byID[want.ID] = x
		return x, nil
	default:
		return nil, &link.Error{Kind: link.Full, Text: "too many jobs wait for the printer"}
	}
}

func (x *job) over() bool {
	select {
	case <-x.done:
		return true
	default:
		return false
	}
}

func hashOf(want api.Job) string {
	text, _ := json.Marshal(want) // a Job is plain data
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// run prints until ctx ends.
func (j *jobs) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case x := <-j.queue:
			state, reason := j.one(ctx, x)
			j.finish(x, api.Result{ID: x.ID, State: state, Reason: reason})
		}
	}
}

func (j *jobs) finish(x *job, r api.Result) {
	j.mu.Lock()
	defer j.mu.Unlock()
	x.result, x.Lines = r, nil
	close(x.done)
	j.old = append(j.old, x.ID)
	for len(j.old) > remembered {
		if y := j.byID[j.old[0]]; y != nil && y.over() {
			delete(j.byID, j.old[0])
		}
		j.old = j.old[1:]
	}
}

// one prints one job.
func (j *jobs) one(ctx context.Context, x *job) (state, reason string) {
	p := j.s.printer()
	if p == nil {
		return api.NotDone, "there is no printer"
	}
	lines, err := linesOf(x.Job)
	if err != nil {
		return api.NotDone, err.Error()
	}
	content, _ := json.Marshal(begun{Job: x.ID, Hash: x.hash}) // plain data
	if _, err := j.s.o.Journal.Append(ctx, journalapi.Event{Kind: kindBegun, Content: content}); err != nil {
		j.s.o.Log.WithError(err).Error("job not begun")
		return api.NotDone, "the journal does not take it"
	}
	out, reason := p.Print(ctx, lines, x.Cut)
	state = stateOf(out)
	j.s.record.Add(kindEnded, ended{Job: x.ID, State: state, Reason: reason})
	return state, reason
}

func stateOf(o escpos.Outcome) string {
	switch o {
	case escpos.Done:
		return api.Done
	case escpos.NotDone:
		return api.NotDone
	}
	return api.Unknown
}

// linesOf turns the register's lines into the driver's.
func linesOf(want api.Job) ([]escpos.Line, error) {
	out := make([]escpos.Line, 0, len(want.Lines))
	for i, l := range want.Lines {
		x := escpos.Line{Text: l.Text, Right: l.Right, Bold: l.Bold, Wide: l.Wide, Tall: l.Tall, Rule: l.Rule, Feed: l.Feed}
		switch l.Align {
		case "", api.AlignLeft:
		case api.AlignCenter:
			x.Align = escpos.Center
		case api.AlignRight:
			x.Align = escpos.Right
		default:
			return nil, fmt.Errorf("checking line %d: no such alignment", i+1)
		}
		out = append(out, x)
	}
	return out, nil
}

// recall reads the last lives of this service in the journal.
func (s *Service) recall(ctx context.Context) error {
	head, err := s.o.Journal.Head(ctx)
	if err != nil {
		return fmt.Errorf("reading the journal's head: %w", err)
	}
	size, err := sizeOf(head)
	if err != nil {
		return err
	}
	from := uint64(0)
	if size > recalled {
		from = size - recalled
	}
	found := map[string]*job{}
	err = s.o.Journal.Read(ctx, from, func(e journalapi.Entry) error { return recallOne(found, e) })
	if err != nil {
		return fmt.Errorf("reading what was printed before: %w", err)
	}
	s.jobs.mu.Lock()
	defer s.jobs.mu.Unlock()
	for id, x := range found {
		close(x.done)
		s.jobs.byID[id] = x
	}
	return nil
}

// recallOne takes in one entry of an earlier life.
func recallOne(found map[string]*job, e journalapi.Entry) error {
	if e.Service != "printer" {
		return nil
	}
	switch e.Kind {
	case kindBegun:
		var b begun
		if err := link.Decode(e.Content, &b); err != nil {
			return fmt.Errorf("reading entry %d: %w", e.Seq, err)
		}
		found[b.Job] = &job{Job: api.Job{ID: b.Job}, hash: b.Hash, done: make(chan struct{}), result: api.Result{
			ID: b.Job, State: api.Unknown, Reason: "the printer service ended while it printed"}}
	case kindEnded:
		var d ended
		if err := link.Decode(e.Content, &d); err != nil {
			return fmt.Errorf("reading entry %d: %w", e.Seq, err)
		}
		if x := found[d.Job]; x != nil {
			x.result = api.Result{ID: d.Job, State: d.State, Reason: d.Reason}
		}
	}
	return nil
}

// sizeOf reads the number of entries out of a checkpoint: its second line.
func sizeOf(checkpoint string) (uint64, error) {
	lines := strings.SplitN(checkpoint, "\n", 3)
	if len(lines) < 3 {
		return 0, fmt.Errorf("reading the journal's head: it has %d lines", len(lines))
	}
	n, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading the journal's head: %w", err)
	}
	return n, nil
}
