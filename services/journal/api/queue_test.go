package api_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	journalapi "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/journal/journaltest"
)

// What was queued while the journal was away is written in order when it is
// back; what did not fit is counted; what it refuses holds nothing up.
func TestQueue(t *testing.T) {
	j := journaltest.Start(t)
	client := j.Client("printer")
	j.Stop()
	log := logrus.New()
	log.SetOutput(io.Discard)
	q := journalapi.NewQueue(client, "print.lost", logrus.NewEntry(log))
	q.Add("NOT A KIND", struct{}{})
	for i := range 300 {
		q.Add("print.ended", map[string]int{"n": i})
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go q.Run(ctx)
	time.Sleep(50 * time.Millisecond)
	j.Restart()
	var got []string
	require.Eventually(t, func() bool {
		got = nil
		err := client.Read(t.Context(), 0, func(e journalapi.Entry) error {
			if e.Service == "printer" {
				got = append(got, e.Kind+string(e.Content))
			}
			return nil
		})
		return err == nil && len(got) == 256
	}, 20*time.Second, 50*time.Millisecond)
	for i := range 255 {
		require.Equal(t, fmt.Sprintf(`print.ended{"n":%d}`, i), got[i])
	}
	require.Equal(t, `print.lost{"left":45}`, got[255])
}

// Flush waits for what was added before, and no longer than its caller.
func TestFlush(t *testing.T) {
	j := journaltest.Start(t)
	client := j.Client("printer")
	j.Stop()
	log := logrus.New()
	log.SetOutput(io.Discard)
	q := journalapi.NewQueue(client, "print.lost", logrus.NewEntry(log))
	q.Flush(t.Context())
	q.Add("print.ended", struct{}{})
	q.AddOf("04b8:0202 1-2", "print.ended", struct{}{})
	go q.Run(t.Context())
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	q.Flush(short)
	require.Error(t, short.Err(), "the journal is away")
	j.Restart()
	q.Flush(t.Context())
	var devices []string
	require.NoError(t, client.Read(t.Context(), 0, func(e journalapi.Entry) error {
		if e.Service == "printer" {
			devices = append(devices, e.Device)
		}
		return nil
	}))
	require.Equal(t, []string{"", "04b8:0202 1-2"}, devices)
}
