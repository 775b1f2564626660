package page

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"image"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type fake struct {
	mu     sync.Mutex
	codes  []string
	taps   [][2]int
	drawer bool
}

func (f *fake) Picture() (image.Image, error) { return image.NewGray(image.Rect(0, 0, 8, 4)), nil }
func (f *fake) Paper() (image.Image, int)     { return nil, 0 }
func (f *fake) Faults() []Fault               { return []Fault{{"cover", "printer", "カバー開", false}} }
func (f *fake) SetFault(string, bool) error   { return errors.New("no such fault") }
func (f *fake) Power(bool) error              { return nil }
func (f *fake) Running() bool                 { return true }
func (f *fake) Notes() string                 { return "hello" }
func (f *fake) Tap(x, y int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.taps = append(f.taps, [2]int{x, y})
	return nil
}
func (f *fake) Scan(code string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.codes = append(f.codes, code)
	f.drawer = true
	return nil
}
func (f *fake) DrawerOpen() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.drawer }
func (f *fake) CloseDrawer()     { f.mu.Lock(); defer f.mu.Unlock(); f.drawer = false }

func serve(t *testing.T) (*fake, string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	reg := &fake{}
	done := make(chan error, 1)
	go func() { done <- New(reg, []Good{{Code: "4901", Name: "茶", Price: 138, Reduced: true}}).Run(ctx, ln) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	return reg, "http://" + ln.Addr().String()
}

func TestEventsFollowTheRegister(t *testing.T) {
	_, base := serve(t)
	r, err := http.Get(base + "/events")
	require.NoError(t, err)
	defer r.Body.Close()
	in := bufio.NewScanner(r.Body)
	next := func() (s State) {
		for in.Scan() {
			if line, ok := strings.CutPrefix(in.Text(), "data: "); ok {
				require.NoError(t, json.Unmarshal([]byte(line), &s))
				return s
			}
		}
		t.Fatal("the stream ended")
		return s
	}
	s := next()
	if s.Screen == "" { // the first look may come after the first event
		s = next()
	}
	require.Equal(t, [2]int{8, 4}, [2]int{s.Width, s.Height})
	require.False(t, s.Drawer)
	post(t, base+"/scan", url.Values{"code": {"4901234567894"}}, 200)
	require.True(t, next().Drawer)
	post(t, base+"/drawer", nil, 200)
	require.False(t, next().Drawer)
}

func TestHandsReachTheRegister(t *testing.T) {
	reg, base := serve(t)
	post(t, base+"/tap", url.Values{"x": {"3"}, "y": {"2"}}, 200)
	post(t, base+"/tap", url.Values{"x": {"a"}, "y": {"2"}}, 400)
	post(t, base+"/fault", url.Values{"id": {"x"}, "on": {"true"}}, 409)
	require.Equal(t, [][2]int{{3, 2}}, reg.taps)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { // a browser that looks
		req, _ := http.NewRequestWithContext(ctx, "GET", base+"/events", nil)
		if r, err := http.DefaultClient.Do(req); err == nil {
			io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
	}()
	require.Eventually(t, func() bool {
		r, err := http.Get(base + "/screen.png")
		require.NoError(t, err)
		r.Body.Close()
		return r.StatusCode == 200 && r.Header.Get("Content-Type") == "image/png"
	}, 5*time.Second, 20*time.Millisecond)
}

// Another site in the same browser must not be able to press buttons.
func TestOtherOriginIsRefused(t *testing.T) {
	_, base := serve(t)
	req, err := http.NewRequest("POST", base+"/power", strings.NewReader("on=false"))
	require.NoError(t, err)
	req.Header.Set("Origin", "https://example.com")
	r, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	r.Body.Close()
	require.Equal(t, http.StatusForbidden, r.StatusCode)
}

func post(t *testing.T, to string, form url.Values, want int) {
	r, err := http.PostForm(to, form)
	require.NoError(t, err)
	r.Body.Close()
	require.Equal(t, want, r.StatusCode)
}
