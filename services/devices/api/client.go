package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/choba-os/choba/services/link"
)

// ScannerClient follows a scanner.
type ScannerClient struct{ calls *link.Client }

// Scanner returns a client of the scanner service behind a unix socket.
func Scanner(socket string) *ScannerClient {
	return &ScannerClient{calls: link.Dial(socket)}
}

// Scans calls fn for every scan with a number above after, old ones first, and
// then for each as it comes, until ctx ends, the service ends, or fn fails. The
// service keeps the last 4096; a gap in Seq tells how many were overtaken. A
// number above any that the service has given is a restart: it starts from 1.
func (c *ScannerClient) Scans(ctx context.Context, after uint64, fn func(Scan) error) error {
	return follow(ctx, c.calls, fmt.Sprintf("/v1/scans?after=%d", after), fn)
}

// Watch calls fn with the state now and then with every change.
func (c *ScannerClient) Watch(ctx context.Context, fn func(State) error) error {
	return follow(ctx, c.calls, "/v1/state", fn)
}

// SelfTest has the service put a marked scan behind all others, on the way that
// those of the device take. Only the register may call the service at all.
func (c *ScannerClient) SelfTest(ctx context.Context, id string) error {
	if err := c.calls.Post(ctx, "/v1/selftest", SelfTest{ID: id}, nil); err != nil {
		return fmt.Errorf("asking for a test scan: %w", err)
	}
	return nil
}

// PrinterClient uses a printer and the drawer behind it.
type PrinterClient struct{ calls *link.Client }

// Printer returns a client of the printer service behind a unix socket.
func Printer(socket string) *PrinterClient {
	return &PrinterClient{calls: link.Dial(socket)}
}

// Print prints a job and waits for what becomes of it: for paper that is out
// and a cover that is open it waits until they are mended, the printer is
// unplugged, or ctx ends. A job that is asked for again, by its ID, is not
// printed again: the answer is the first one's, or waits with it.
//
// An error of kind link.Unknown means that the answer was lost: ask again, with
// the same ID.
func (c *PrinterClient) Print(ctx context.Context, job Job) (Result, error) {
	var out Result
	ctx, cancel := patient(ctx)
	defer cancel()
	if err := c.calls.Post(ctx, "/v1/print", job, &out); err != nil {
		return Result{}, fmt.Errorf("printing %s: %w", job.ID, err)
	}
	return out, nil
}

// Open opens the drawer. A command without a valid, fresh and new proof is an
// error of kind link.Denied and is journaled as drawer.refused.
func (c *PrinterClient) Open(ctx context.Context, cmd Command) (Result, error) {
	var out Result
	if err := c.calls.Post(ctx, "/v1/open", cmd, &out); err != nil {
		return Result{}, fmt.Errorf("opening the drawer: %w", err)
	}
	return out, nil
}

// Watch calls fn with the state now and then with every change.
func (c *PrinterClient) Watch(ctx context.Context, fn func(State) error) error {
	return follow(ctx, c.calls, "/v1/state", fn)
}

// paperTime is how long a job may wait for paper when the caller sets no limit;
// link's own limit is for calls that a machine answers.
const paperTime = 24 * time.Hour

func patient(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, bounded := ctx.Deadline(); bounded {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, paperTime)
}

func follow[T any](ctx context.Context, calls *link.Client, path string, fn func(T) error) error {
	return calls.Stream(ctx, path, func(line json.RawMessage) error {
		var v T
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&v); err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		return fn(v)
	})
}
