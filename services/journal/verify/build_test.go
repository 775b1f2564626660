package verify_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/journal/entry"
	"github.com/choba-os/choba/services/journal/journaltest"
	"github.com/choba-os/choba/services/journal/segment"
	"github.com/choba-os/choba/services/journal/store"
	"github.com/choba-os/choba/services/journal/verify"
)

// journal is a journal's folder that grows by lives: openings of the store.
type journal struct {
	t     testing.TB
	dir   string
	seed  uint64
	boot  int
	start time.Time
	bytes int64
}

func newJournal(t testing.TB, seed uint64) *journal {
	return &journal{t: t, dir: t.TempDir(), seed: seed, start: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC), bytes: segment.MinBytes}
}

// live opens the store, records n entries, and closes it. It gives the head.
func (j *journal) live(n int) string {
	j.boot++
	boot, tick := j.boot, int64(0)
	log := logrus.New()
	log.SetOutput(io.Discard)
	d, err := store.OpenDir(j.dir)
	require.NoError(j.t, err)
	s, err := store.Open(store.Options{Disk: d, Random: journaltest.Repeatable(j.seed<<40 | uint64(boot)<<20), SegmentBytes: j.bytes, Log: logrus.NewEntry(log),
		Clock: store.Clock{Boot: fmt.Sprintf("boot-%d", boot), Now: func() (time.Time, int64) {
			tick++
			return j.start.Add(time.Duration(boot)*time.Hour + time.Duration(tick)*time.Second), tick * 1e9
		}}})
	require.NoError(j.t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, func() {}) }()
	for i := range n {
		v, err := entry.Event{Kind: "sale.line", Person: "0012", Device: "scanner-1", Content: fmt.Appendf(nil, `{"n":%d,"name":"おにぎり"}`, i)}.Normal()
		require.NoError(j.t, err)
		_, err = s.Append(ctx, "register", v)
		require.NoError(j.t, err)
	}
	head := s.Head()
	stop()
	require.NoError(j.t, <-done)
	require.NoError(j.t, s.Close())
	require.NoError(j.t, d.Close())
	return head
}

func (j *journal) log() string { return filepath.Join(j.dir, "log") }

// files are the log's files by name.
func files(t testing.TB, dir string) map[string][]byte {
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	out := map[string][]byte{}
	for _, f := range list {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		require.NoError(t, err)
		out[f.Name()] = text
	}
	return out
}

func segments(m map[string][]byte) []string {
	var names []string
	for name := range m {
		if _, ok := segment.ParseFileName(name); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// written writes files into a new folder.
func written(t testing.TB, m map[string][]byte) string {
	dir := t.TempDir()
	for name, text := range m {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	return dir
}

func verified(t testing.TB, dir string, opt verify.Options) *verify.Report {
	r, err := verify.Folder(dir, opt)
	require.NoError(t, err)
	return r
}

// rewrite gives the segment with its records as change leaves them, with right lengths, places and checksums: what
// somebody writes who knows the format.
func rewrite(t testing.TB, text []byte, change func([]segment.Record) []segment.Record) []byte {
	var records []segment.Record
	for at := 0; at < len(text) && text[at] != 0; {
		r, err := segment.Parse(text[at:])
		require.NoError(t, err)
		r.Body = slices.Clone(r.Body)
		records = append(records, r)
		at += int(r.Len())
	}
	var out []byte
	begin := int64(0)
	for _, r := range change(records) {
		r.Begin = begin
		out = segment.Append(out, r)
		if r.Kind == segment.KindCheckpoint {
			begin = int64(len(out))
		}
	}
	require.LessOrEqual(t, len(out), len(text))
	return append(out, make([]byte, len(text)-len(out))...)
}
