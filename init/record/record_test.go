package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/link"
)

// fake is a journal in memory.
type fake struct {
	mu   sync.Mutex
	got  []Event
	errs []error // for the next calls
}

func (f *fake) Append(_ context.Context, e Event) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.errs) > 0 {
		err := f.errs[0]
		f.errs = f.errs[1:]
		if err != nil {
			return err
		}
	}
	f.got = append(f.got, e)
	return nil
}

func (f *fake) kinds() (out []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.got {
		out = append(out, e.Kind)
	}
	return out
}

func TestDeliversInOrderWhenTheJournalComesUp(t *testing.T) {
	down := errors.New("down")
	f := &fake{errs: []error{down, down, nil, down}}
	q := New(f, func(string) {})
	q.Add("boot.start", map[string]int{"a": 1})
	q.Add("service.start", struct{}{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go q.Run(ctx)
	q.Add("boot.ready", nil)
	require.Eventually(t, func() bool { return len(f.kinds()) == 3 }, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, []string{"boot.start", "service.start", "boot.ready"}, f.kinds())
	require.JSONEq(t, `{"a":1}`, string(f.got[0].Content))
}

func TestFullQueueIsCountedNotWaitedFor(t *testing.T) {
	f := &fake{}
	q := New(f, func(string) {})
	for range room + 7 {
		q.Add("exec.refused", struct{}{})
	}
	q.Drain(t.Context())
	kinds := f.kinds()
	require.Len(t, kinds, room+1)
	require.Equal(t, "boot.lost", kinds[room])
	require.JSONEq(t, `{"events":7}`, string(f.got[room].Content))
}

func TestRefusedContentIsWithheldAndThenPassedOver(t *testing.T) {
	no := fmt.Errorf("%w: a card number", ErrRefused)
	f := &fake{errs: []error{no, nil, no, no}}
	var said []string
	q := New(f, func(s string) { said = append(said, s) })
	q.Add("exec.refused", map[string]string{"path": "/tmp/4111111111111111"})
	q.Add("sale.closed", struct{}{}) // not init's kind: refused whatever is in it
	q.Add("boot.end", struct{}{})
	q.Add("boot.bad", func() {})
	q.Drain(t.Context())
	require.Equal(t, []string{"exec.refused", "boot.end"}, f.kinds())
	require.JSONEq(t, `{"withheld":"the journal refused the content"}`, string(f.got[0].Content))
	require.Len(t, said, 4)
	require.Contains(t, strings.Join(said, "\n"), "a card number")
}

// What is kept elsewhere until the journal has it is let go then, and not before.
func TestThen(t *testing.T) {
	no := fmt.Errorf("%w: a card number", ErrRefused)
	f := &fake{errs: []error{errors.New("down"), nil, no, no}}
	var done []string
	q := New(f, func(string) {})
	then := func(name string) func() {
		return func() { done = append(done, name+" after "+strings.Join(f.kinds(), " ")) }
	}
	q.AddThen("recovery.failed", struct{}{}, then("first"))
	q.AddThen("sale.closed", struct{}{}, then("refused for good"))
	q.Drain(t.Context())
	require.Empty(t, done)
	q.Drain(t.Context())
	require.Equal(t, []string{"first after recovery.failed", "refused for good after recovery.failed"}, done)
	for range room {
		q.Add("exec.refused", struct{}{})
	}
	q.AddThen("boot.lost", struct{}{}, then("no room"))
	q.Drain(t.Context())
	require.Len(t, done, 2)
}

// Two that deliver at once deliver each event once.
func TestRunBesideDrain(t *testing.T) {
	f := &fake{}
	q := New(f, func(string) {})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { q.Run(ctx); close(ended) }()
	for i := range room / 2 {
		q.Add(fmt.Sprintf("boot.n%d", i), struct{}{})
	}
	q.Drain(ctx)
	cancel()
	<-ended
	require.Len(t, f.kinds(), room/2)
	for i, k := range f.kinds() {
		require.Equal(t, fmt.Sprintf("boot.n%d", i), k)
	}
}

// hung is a journal that takes nothing and answers nothing.
type hung struct{ asked chan struct{} }

func (h hung) Append(ctx context.Context, _ Event) error {
	close(h.asked)
	<-ctx.Done()
	return ctx.Err()
}

// A journal that hangs keeps the end of a boot no longer than it was given, also when Run waits for it already.
func TestDrainDoesNotWaitForRun(t *testing.T) {
	h := hung{make(chan struct{})}
	q := New(h, func(string) {})
	running, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	q.Add("boot.start", struct{}{})
	go func() { q.Run(running); close(ended) }()
	<-h.asked
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	began := time.Now()
	q.Drain(ctx)
	require.Less(t, time.Since(began), callTime/2)
	stop()
	<-ended
}

// serve is the services' own server, which the hand-written request must please.
func serve(t *testing.T, h http.HandlerFunc) Journal {
	t.Helper()
	j := Journal{filepath.Join(t.TempDir(), "journal.sock")}
	ln, err := net.Listen("unix", j.Socket)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- link.Serve(ctx, ln, func(uint32) string { return "init" }, h) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	return j
}

func TestRequestIsTheJournalsApi(t *testing.T) {
	var got api.Event
	j := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method+" "+r.URL.Path != "POST /v1/append" || link.Caller(r) != "init" {
			link.Refuse(w, link.NotFound, r.URL.Path)
			return
		}
		if link.Read(w, r, &got) {
			link.Reply(w, api.Proof{Entry: json.RawMessage(`{}`)})
		}
	})
	want := Event{Kind: "boot.ready", Content: json.RawMessage(`{"slot":"a"}`)}
	require.NoError(t, j.Append(t.Context(), want))
	require.Equal(t, api.Event{Kind: want.Kind, Content: want.Content}, got)
}

func TestAnswers(t *testing.T) {
	for kind, refused := range map[link.Kind]bool{
		link.BadRequest: true, link.Denied: true, link.Full: false, link.Internal: false, link.Unavailable: false,
	} {
		j := serve(t, func(w http.ResponseWriter, r *http.Request) { link.Refuse(w, kind, "because") })
		err := j.Append(t.Context(), Event{Kind: "boot.start"})
		require.Error(t, err, kind)
		require.Equal(t, refused, errors.Is(err, ErrRefused), kind)
		if refused {
			require.ErrorContains(t, err, "because")
		}
	}
	require.Error(t, Journal{filepath.Join(t.TempDir(), "absent")}.Append(t.Context(), Event{}))

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	j := serve(t, func(w http.ResponseWriter, r *http.Request) { time.Sleep(200 * time.Millisecond) })
	require.Error(t, j.Append(ctx, Event{}), "it does not wait for ever")
}

func FuzzAnswer(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\n\r\n{}")
	f.Add("HTTP/1.1 403 Forbidden\r\nX: y\r\n\r\n{\"kind\":\"denied\"}\n")
	f.Add("HTTP/1.1 \r\n")
	f.Fuzz(func(t *testing.T, text string) {
		if answer(strings.NewReader(text)) == nil {
			require.True(t, strings.HasPrefix(text, "HTTP/1."))
			require.Contains(t, text, " 200")
		}
	})
}
