package claim_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/devices/claim"
	portsapi "github.com/choba-os/choba/services/ports/api"
)

func TestNextTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		want := &portsapi.Handed{Device: "0403:6001 1-3"}
		f := claim.Func(func(context.Context) (*portsapi.Handed, error) {
			if asked++; asked < 4 {
				return nil, errors.New("ports does not answer")
			}
			return want, nil
		})
		to := make(chan *portsapi.Handed)
		go f.Next(t.Context(), to)
		require.Same(t, want, <-to)
		require.Equal(t, 4, asked)
	})
}

func TestNextEnds(t *testing.T) {
	for name, f := range map[string]claim.Func{
		"refused": func(context.Context) (*portsapi.Handed, error) { return nil, errors.New("no") },
		"waiting": func(ctx context.Context) (*portsapi.Handed, error) { <-ctx.Done(); return nil, ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { endNext(t, f) }) })
	}
}

// A device that came when nobody wants it any more goes back to ports.
func TestNextReleasesWhatNobodyTook(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer w.Close()
	synctest.Test(t, func(t *testing.T) {
		endNext(t, func(context.Context) (*portsapi.Handed, error) { return &portsapi.Handed{File: r}, nil })
	})
	require.ErrorIs(t, r.Close(), os.ErrClosed)
}

// endNext lets f's Next wait and then ends it; the receiver takes nothing.
func endNext(t *testing.T, f claim.Func) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); f.Next(ctx, make(chan *portsapi.Handed)) }()
	synctest.Wait()
	cancel()
	<-ended
}
