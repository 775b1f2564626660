package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/choba-os/choba/drivers/display"
	"github.com/choba-os/choba/drivers/input"
	"github.com/choba-os/choba/services/link"
	ports "github.com/choba-os/choba/services/ports/api"
	register "github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/screen"
	"github.com/sirupsen/logrus"
)

// portsSocket is where the port guard listens on the machine.
const portsSocket = "/run/choba/ports.sock"

// lookAgain is the pause between looks for a display card.
const lookAgain = 100 * time.Millisecond

// failedPause is the pause after a screen failed.
const failedPause = time.Second

// Without a screen that shows the register the service is not ready for so long: longer than the 25 s that a release on
// trial is given, so that one whose screen is dead is not kept; shorter than the 90 s after which the watchdog would
// not be fed, so that a register of a kept release sells on without a screen.
const blind = 45 * time.Second

func run(ctx context.Context, out, errOut io.Writer) error {
	logger := logrus.New()
	logger.SetOutput(errOut)
	logger.SetFormatter(&logrus.JSONFormatter{})
	log := logger.WithField("service", "screen")
	session, err := session()
	if err != nil {
		return err
	}
	touches := make(chan input.Touch, 16)
	go screen.Touches(ctx, ports.New(portsSocket), touches, log)
	life := newPatience(link.OpenLife(), blind, log)
	for n := 1; ctx.Err() == nil; n++ {
		outputs, err := outputs(ctx, life, log)
		if err != nil {
			return err
		}
		err = screen.Run(ctx, screen.Config{
			Register: register.New(register.Socket),
			Outputs:  outputs,
			Touches:  touches,
			Life:     life,
			Session:  fmt.Sprintf("%s-%d", session, n),
			Painted:  func() { fmt.Fprintln(out, "screen: painted") },
			Log:      log,
		})
		if errors.Is(err, screen.ErrOutput) { // the card went away, or refuses: another one may come
			log.WithError(err).Warn("a screen failed; looking for screens again")
			giveBack(ctx, outputs)
			life.Alive()
			continue
		}
		return err
	}
	return nil
}

// patience is a life line that says ready after a while although nothing was painted.
type patience struct {
	life screen.Life
	end  time.Time
	said bool // one goroutine uses it
	log  *logrus.Entry
}

func newPatience(l screen.Life, most time.Duration, log *logrus.Entry) *patience {
	return &patience{life: l, end: time.Now().Add(most), log: log}
}

func (p *patience) Ready() { p.said = true; p.life.Ready() }

func (p *patience) Alive() {
	p.life.Alive()
	if !p.said && time.Now().After(p.end) {
		p.log.Warnf("nothing could be shown for %v; ready without a screen", blind)
		p.Ready()
	}
}

// giveBack closes the cards and lets a moment pass.
func giveBack(ctx context.Context, outputs []screen.Output) {
	for _, o := range outputs {
		if c, ok := o.(io.Closer); ok {
			c.Close() // it failed already
		}
	}
	select {
	case <-ctx.Done():
	case <-time.After(failedPause):
	}
}

// session names this run of the service.
func session() (string, error) {
	b := make([]byte, 8)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("naming the session: %w", err)
	}
	return hex.EncodeToString(b), nil
}

// outputs waits until there is a card with a screen on it and lights all there are. Init makes the card's node ours a moment after it
// appears, so a refusal is not final.
func outputs(ctx context.Context, life screen.Life, log *logrus.Entry) ([]screen.Output, error) {
	said := ""
	for {
		cards, err := display.Cards()
		if err != nil {
			return nil, err
		}
		var outs []screen.Output
		for _, c := range cards {
			lit, err := display.Open(c)
			if err != nil && err.Error() != said {
				said = err.Error()
				log.WithError(err).Info("cannot use display card")
			}
			for _, o := range lit {
				w, h := o.Size()
				log.WithFields(logrus.Fields{"card": c, "output": o.Name, "width": w, "height": h}).Info("screen lit")
				outs = append(outs, o)
			}
		}
		if len(outs) > 0 {
			return outs, nil
		}
		life.Alive()
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("looking for a screen: %w", ctx.Err())
		case <-time.After(lookAgain):
		}
	}
}
