package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/drivers/usbstick"
	"github.com/choba-os/choba/drivers/usbstick/sticktest"
	"github.com/choba-os/choba/image/source"
	journalapi "github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/link"
	portsapi "github.com/choba-os/choba/services/ports/api"
	"github.com/choba-os/choba/services/stick/api"
	"github.com/choba-os/choba/services/stick/serve"
)

// shop is the whole service but its main, with sticks that tests plug in.
type shop struct {
	t      *testing.T
	client *api.Client
	plug   chan *plugged
	states chan api.State

	mu      sync.Mutex
	entries []journalapi.Event
	now     *plugged
}

// plugged is a stick in the port.
type plugged struct {
	fake *sticktest.Stick
	gone chan struct{}
}

func (p *plugged) pull() {
	p.fake.Pull()
	close(p.gone)
}

func open(t *testing.T) *shop {
	s := &shop{t: t, plug: make(chan *plugged), states: make(chan api.State, 100)}
	log := logrus.New()
	log.SetOutput(io.Discard)
	service := serve.New(serve.Options{Claim: s.claim, Open: s.open, Append: s.append, Log: logrus.NewEntry(log)})
	dir, err := os.MkdirTemp("", "stick")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "stick.sock")
	ln, err := net.Listen("unix", socket)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	alive := 0
	wg.Go(func() { _ = service.Run(ctx, func() { alive++ }) })
	wg.Go(func() { _ = link.Serve(ctx, ln, func(uint32) string { return "update" }, service.Handler()) })
	s.client = api.New(socket)
	wg.Go(func() {
		_ = s.client.Watch(ctx, func(st api.State) error { s.states <- st; return nil })
	})
	t.Cleanup(func() { cancel(); wg.Wait(); require.NotZero(t, alive) })
	s.until(func(st api.State) bool { return st == api.State{} })
	return s
}

func (s *shop) claim(ctx context.Context) (*portsapi.Handed, error) {
	select {
	case p := <-s.plug:
		s.now = p
		return &portsapi.Handed{Role: "stick", Device: "0781:5581 1-3", Kind: portsapi.KindUSBFS, Gone: p.gone}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *shop) open(_ *os.File, o usbstick.Options) (*usbstick.Stick, error) {
	require.False(s.t, o.Write)
	o.Wait = func(time.Duration) {}
	return usbstick.New(s.now.fake, o)
}

func (s *shop) append(_ context.Context, e journalapi.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries = append(s.entries, e)
	return nil
}

func (s *shop) until(ok func(api.State) bool) api.State {
	s.t.Helper()
	for {
		select {
		case st := <-s.states:
			if ok(st) {
				return st
			}
		case <-time.After(10 * time.Second):
			s.t.Fatal("the state did not come")
		}
	}
}

func (s *shop) insert(data []byte, f sticktest.Faults) *plugged {
	p := &plugged{fake: sticktest.New(data), gone: make(chan struct{})}
	p.fake.Faults = f
	s.plug <- p
	return p
}

func (s *shop) kinds() (out []string) {
	require.Eventually(s.t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.entries) > 0 }, 5*time.Second, time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		out = append(out, e.Kind)
		require.True(s.t, json.Valid(e.Content))
		require.Equal(s.t, "0781:5581 1-3", e.Device)
	}
	return out
}

// repository is a stick as a vendor makes it, with mkfs.vfat and mtools.
func repository(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	dir := t.TempDir()
	image := filepath.Join(dir, "stick")
	require.NoError(t, os.WriteFile(image, nil, 0o600))
	require.NoError(t, os.Truncate(image, 36<<20))
	call := func(name string, args ...string) {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip("no " + name)
		}
		out, err := exec.Command(name, args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	call("/usr/sbin/mkfs.vfat", "-F", "32", "-s", "1", image)
	call("mmd", "-i", image, "::/metadata", "::/targets", "::/bundles", "::/latest", "::/private")
	for path, data := range files {
		f := filepath.Join(dir, "file")
		require.NoError(t, os.WriteFile(f, data, 0o600))
		call("mcopy", "-o", "-i", image, f, "::/"+path)
	}
	b, err := os.ReadFile(image)
	require.NoError(t, err)
	return b
}

// fetcher is what update sees.
var _ source.Fetcher = (*api.Client)(nil)

// A vendor's stick, from plug to pull.
func TestServesARepository(t *testing.T) {
	bundle := bytes.Repeat([]byte("0123456789abcdef"), 200_000/16*10)
	name := "bundles/4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865.choba"
	image := repository(t, map[string][]byte{
		"metadata/timestamp.json": []byte(`{"signed":{}}`), name: bundle, "factory.choba": []byte("x"), "private/diary.txt": []byte("secret"),
	})
	s := open(t)
	_, err := s.client.File(t.Context(), "metadata/timestamp.json", 100)
	require.Equal(t, link.Unavailable, link.KindOf(err), "no stick")
	p := s.insert(image, sticktest.Faults{})
	st := s.until(func(st api.State) bool { return st.Present })
	require.Equal(t, api.State{Present: true, Device: "0781:5581 1-3", Text: "USBメモリを読み取れます。", TextEn: "The USB stick can be read."}, st)
	got, err := s.client.File(t.Context(), "metadata/timestamp.json", 100)
	require.NoError(t, err)
	require.Equal(t, `{"signed":{}}`, string(got))
	got, err = s.client.File(t.Context(), name, 1<<30)
	require.NoError(t, err)
	require.True(t, bytes.Equal(bundle, got))
	_, err = s.client.File(t.Context(), name, 1000)
	require.ErrorIs(t, err, source.ErrTooLarge)
	for _, c := range [][2]int64{{0, 1}, {65535, 70_000}, {int64(len(bundle)) - 5, 5}, {100, 0}} {
		r, err := s.client.Range(t.Context(), name, c[0], c[1])
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.True(t, bytes.Equal(bundle[c[0]:c[0]+c[1]], got))
	}
	_, err = s.client.Range(t.Context(), name, int64(len(bundle))-5, 6)
	require.Error(t, err)
	_, err = s.client.File(t.Context(), "metadata/2.root.json", 100)
	require.ErrorIs(t, err, source.ErrMissing)
	for _, path := range []string{"private/diary.txt", "../x", "/etc/passwd", "metadata", "", "metadata/../private/diary.txt", "diary.txt"} {
		_, err = s.client.File(t.Context(), path, 100)
		require.Equal(t, link.BadRequest, link.KindOf(err), path)
	}
	require.Equal(t, []string{serve.Opened}, s.kinds())
	p.pull()
	s.until(func(st api.State) bool { return st == api.State{} })
	require.True(t, p.fake.Closed)
	_, err = s.client.File(t.Context(), "metadata/timestamp.json", 100)
	require.Equal(t, link.Unavailable, link.KindOf(err))
}

// Pulled out in the middle of a file: the reader is told, and the next stick works.
func TestPulledOutWhileReading(t *testing.T) {
	bundle := make([]byte, 8<<20)
	image := repository(t, map[string][]byte{"bundles/a.choba": bundle})
	s := open(t)
	for range 3 {
		p := s.insert(bytes.Clone(image), sticktest.Faults{})
		s.until(func(st api.State) bool { return st.Present })
		r, err := s.client.Range(t.Context(), "bundles/a.choba", 0, int64(len(bundle)))
		require.NoError(t, err)
		_, err = io.ReadFull(r, make([]byte, 100))
		require.NoError(t, err)
		p.pull()
		_, err = io.Copy(io.Discard, r)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.NoError(t, r.Close())
		s.until(func(st api.State) bool { return st == api.State{} })
	}
}

// Each stick that cannot be read says why, in both languages, and the next one is tried afresh.
func TestUnreadableSticks(t *testing.T) {
	good := repository(t, map[string][]byte{"factory.choba": []byte("x")})
	empty := repository(t, nil)
	require.NotNil(t, empty)
	ntfs, circle := bytes.Clone(good), bytes.Clone(good)
	copy(ntfs[3:], "NTFS    ")
	circle[44], circle[45] = 0, 0 // no root
	s := open(t)
	for i, c := range []struct {
		image []byte
		f     sticktest.Faults
		says  string
	}{
		{make([]byte, 1<<20), sticktest.Faults{}, "formatted with FAT32 or exFAT"},
		{ntfs, sticktest.Faults{}, "formatted with FAT32 or exFAT"},
		{circle, sticktest.Faults{}, "damaged"},
		{good, sticktest.Faults{At: 4, Times: 1 << 20, Wrong: sticktest.MediumError}, "broken"},
		{good, sticktest.Faults{At: 1, Times: 1 << 20, Wrong: sticktest.StallForever}, "broken"},
		{good, sticktest.Faults{Block: 1}, "broken"},
		{good, sticktest.Faults{Empty: true}, "no card"},
	} {
		p := s.insert(c.image, c.f)
		st := s.until(func(st api.State) bool { return st.TextEn != "" && st.TextEn != "Looking at the USB stick." })
		require.Contains(t, st.TextEn, c.says, fmt.Sprint(i))
		require.NotEmpty(t, st.Text)
		require.False(t, st.Present)
		_, err := s.client.File(t.Context(), "factory.choba", 10)
		require.Equal(t, link.Unavailable, link.KindOf(err))
		var e *link.Error
		require.True(t, errors.As(err, &e))
		require.Equal(t, st.TextEn, e.Text)
		p.pull()
		s.until(func(st api.State) bool { return st == api.State{} })
	}
	s.insert(good, sticktest.Faults{})
	s.until(func(st api.State) bool { return st.Present })
	require.Contains(t, s.kinds(), serve.Unreadable)
}
