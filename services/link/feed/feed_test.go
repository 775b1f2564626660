package feed_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/link/feed"
)

var enough = errors.New("enough")

func TestValueGivesTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := feed.NewValue("a")
		ctx, cancel := context.WithCancel(t.Context())
		var seen []string
		hold := make(chan struct{})
		go func() {
			_ = v.Follow(ctx, func(s string) error {
				seen = append(seen, s)
				if s == "b" {
					<-hold
				}
				return nil
			})
		}()
		synctest.Wait()
		v.Set("a")
		v.Set("b")
		synctest.Wait()
		for _, s := range []string{"c", "d", "e"} {
			v.Set(s)
		}
		close(hold)
		synctest.Wait()
		require.Equal(t, []string{"a", "b", "e"}, seen)
		require.Equal(t, "e", v.Get())
		cancel()
	})
}

func read(t *testing.T, r *feed.Ring[uint64], after uint64, n int) []uint64 {
	var out []uint64
	err := r.Follow(t.Context(), after, func(v uint64) error {
		if out = append(out, v); len(out) == n {
			return enough
		}
		return nil
	})
	require.ErrorIs(t, err, enough)
	return out
}

func TestRing(t *testing.T) {
	r := feed.NewRing[uint64](100)
	add := func(n int) {
		for range n {
			r.Add(func(n uint64) uint64 { return n })
		}
	}
	add(3)
	require.Equal(t, []uint64{1, 2, 3}, read(t, r, 0, 3))
	require.Equal(t, []uint64{3}, read(t, r, 2, 1))
	add(1000)
	got := read(t, r, 0, 100)
	require.Equal(t, uint64(904), got[0], "older ones were overtaken")
	require.Equal(t, uint64(1003), got[99])
	require.Equal(t, uint64(904), read(t, r, 5000, 1)[0], "a number that was never given")
	require.Equal(t, uint64(1003), read(t, r, 1002, 1)[0])
}

func TestRingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := feed.NewRing[int](4)
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan int, 4)
		ended := make(chan error, 1)
		go func() { ended <- r.Follow(ctx, 0, func(v int) error { got <- v; return nil }) }()
		synctest.Wait()
		r.Add(func(uint64) int { return 7 })
		require.Equal(t, 7, <-got)
		cancel()
		require.NoError(t, <-ended)
	})
}
