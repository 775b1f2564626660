package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
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

func run(ctx context.Context, out, errOut io.Writer) error {
	logger := logrus.New()
	logger.SetOutput(errOut)
	logger.SetFormatter(&logrus.JSONFormatter{})
	log := logger.WithField("service", "screen")
	life := link.OpenLife()
	outputs, err := outputs(ctx, life, log)
	if err != nil {
		return err
	}
	session, err := session()
	if err != nil {
		return err
	}
	touches := make(chan input.Touch, 16)
	go screen.Touches(ctx, ports.New(portsSocket), touches, log)
	return screen.Run(ctx, screen.Config{
		Register: register.New(register.Socket),
		Outputs:  outputs,
		Touches:  touches,
		Life:     life,
		Session:  session,
		Painted:  func() { fmt.Fprintln(out, "screen: painted") },
		Log:      log,
	})
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
