package screen

import (
	"context"
	"time"

	"github.com/choba-os/choba/drivers/input"
	"github.com/choba-os/choba/services/ports/api"
	"github.com/sirupsen/logrus"
)

// claimAgain is the pause before the port guard is asked for a panel again.
const claimAgain = 500 * time.Millisecond

// Touches asks the port guard for the touch panel, again whenever it leaves, and sends what fingers do to it until ctx ends.
func Touches(ctx context.Context, guard *api.Client, to chan<- input.Touch, log *logrus.Entry) {
	for ctx.Err() == nil {
		h, err := guard.Claim(ctx, api.RoleTouch)
		if err == nil {
			log.WithField("device", h.Device).Info("touch panel claimed")
			err = read(ctx, h, to)
			h.Release()
		}
		if err != nil && ctx.Err() == nil {
			log.WithError(err).Info("no touch panel")
		}
		pause(ctx, claimAgain)
	}
}

// read sends touches until the panel is gone.
func read(ctx context.Context, h *api.Handed, to chan<- input.Touch) error {
	stop := context.AfterFunc(ctx, func() { h.File.Close() })
	defer stop()
	dev, err := input.FromFile(h.File)
	if err != nil {
		return err
	}
	pad := input.NewPad(dev.Info())
	var events []input.Event
	for {
		if events, err = dev.Read(events[:0]); err != nil {
			// whatever the finger was doing, it did not finish
			select {
			case to <- input.Touch{Phase: input.Cancel}:
			case <-ctx.Done():
			}
			return err
		}
		for _, e := range events {
			if t, ok := pad.Feed(e); ok {
				select {
				case to <- t:
				case <-ctx.Done():
					return nil
				}
			}
		}
	}
}
