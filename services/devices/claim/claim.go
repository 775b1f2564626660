// Package claim waits for a device that ports hands out.
//
// It does not know which device, and does not hold it: what was handed over is
// the receiver's to release. The rule that keeps it small: one device at a time,
// and a refusal is tried again until it is none.
package claim

import (
	"context"
	"time"

	portsapi "github.com/choba-os/choba/services/ports/api"
)

// retry is how long to wait when ports does not answer or says no.
const retry = 500 * time.Millisecond

// Func asks ports once; it returns when a device is there.
type Func func(ctx context.Context) (*portsapi.Handed, error)

// Next waits for a device and hands it to the receiver. When ctx ends first it
// hands over nothing, and a device that nobody took is released.
func (f Func) Next(ctx context.Context, to chan<- *portsapi.Handed) {
	for {
		h, err := f(ctx)
		if err == nil {
			select {
			case to <- h:
			case <-ctx.Done():
				h.Release()
			}
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retry):
		}
	}
}
