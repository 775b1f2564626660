package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
)

type life struct{ ready, alive int }

func (l *life) Ready() { l.ready++ }
func (l *life) Alive() { l.alive++ }

// Without a screen the service is alive and not ready, for longer than a trial waits; then it is ready, once, with words.
func TestPatience(t *testing.T) {
	require.Greater(t, blind, 25*time.Second)
	require.Less(t, blind, 90*time.Second)
	var out bytes.Buffer
	log := logrus.New()
	log.SetOutput(&out)
	var l life
	p := newPatience(&l, 50*time.Millisecond, logrus.NewEntry(log))
	p.Alive()
	require.Equal(t, life{0, 1}, l)
	time.Sleep(60 * time.Millisecond)
	p.Alive()
	p.Alive()
	require.Equal(t, life{1, 3}, l)
	require.Contains(t, out.String(), "ready without a screen")

	painted := newPatience(&l, 0, logrus.NewEntry(log))
	painted.Ready()
	painted.Alive()
	require.Equal(t, life{2, 4}, l)
}
