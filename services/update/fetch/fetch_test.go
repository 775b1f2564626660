package fetch

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/source"
)

// serve starts an HTTPS server and a client that believes its certificate alone.
func serve(t *testing.T, h http.HandlerFunc) (*httptest.Server, *Server) {
	ts := httptest.NewUnstartedServer(h)
	ts.Config.ErrorLog = nil
	ts.StartTLS()
	t.Cleanup(ts.Close)
	s, err := New(source.Source{URL: ts.URL + "/shop/", CA: certificate(ts)}, time.Now)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return ts, s
}

func certificate(ts *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ts.Certificate().Raw})
}

func content(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}
	return b
}

// files serves data as nginx does.
func files(data []byte, tag *string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/shop/bundles/") {
			http.NotFound(w, r)
			return
		}
		if *tag != "" {
			w.Header().Set("ETag", *tag)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}
}

func TestFile(t *testing.T) {
	data, tag := content(9000), `"one"`
	_, s := serve(t, files(data, &tag))
	got, err := s.File(t.Context(), "bundles/a.choba", 9000)
	require.NoError(t, err)
	require.Equal(t, data, got)
	_, err = s.File(t.Context(), "bundles/a.choba", 8999)
	require.ErrorIs(t, err, source.ErrTooLarge)
	_, err = s.File(t.Context(), "latest/none", 8999)
	require.ErrorIs(t, err, source.ErrMissing)
	for _, bad := range []string{"", "/etc/passwd", "a//b", "../a", "a/../b", ".hidden", "a b", "a?x=1", "a#b", "http://x/y", "a/", "日", strings.Repeat("a", 600)} {
		_, err = s.File(t.Context(), bad, 10)
		require.ErrorContains(t, err, "no path inside a repository", bad)
	}
}

func TestRange(t *testing.T) {
	data, tag := content(100_000), `"one"`
	_, s := serve(t, files(data, &tag))
	read := func(from, n int64) ([]byte, error) {
		body, err := s.Range(t.Context(), "bundles/a.choba", from, n)
		if err != nil {
			return nil, err
		}
		defer body.Close()
		return io.ReadAll(body)
	}
	for _, c := range [][2]int64{{0, 1}, {0, 100_000}, {99_999, 1}, {5000, 70_000}} {
		got, err := read(c[0], c[1])
		require.NoError(t, err)
		require.Equal(t, data[c[0]:c[0]+c[1]], got)
	}
	for _, c := range [][2]int64{{100_000, 1}, {99_999, 2}, {1 << 40, 1}} {
		_, err := read(c[0], c[1])
		require.ErrorIs(t, err, ErrAnswer, "%v", c)
	}
	for _, c := range [][2]int64{{-1, 5}, {0, 0}, {1<<63 - 1, 5}} {
		_, err := read(c[0], c[1])
		require.ErrorContains(t, err, "no such part")
	}
	tag = `"two"` // the file is replaced while it is read
	_, err := read(0, 10)
	require.ErrorIs(t, err, ErrChanged)
	_, err = read(0, 10)
	require.NoError(t, err, "and then read anew")
	tag = `W/"weak"`
	_, err = read(0, 10)
	require.ErrorIs(t, err, ErrChanged)
	_, err = read(0, 10)
	require.NoError(t, err)
	require.Empty(t, s.tag("bundles/a.choba"), "a weak name tells nothing")
	for i := range 20 {
		s.setTag(fmt.Sprint(i), "x")
	}
	require.LessOrEqual(t, len(s.tags), maxTags)
}

func TestAnswersThatAreRefused(t *testing.T) {
	cases := map[string]struct {
		answer http.HandlerFunc
		want   error
	}{
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
		}, ErrAnswer},
		"not there":   {http.NotFound, source.ErrMissing},
		"gone":        {status(http.StatusGone), source.ErrMissing},
		"forbidden":   {status(http.StatusForbidden), ErrAnswer},
		"overloaded":  {status(http.StatusServiceUnavailable), ErrUnreachable},
		"too often":   {status(http.StatusTooManyRequests), ErrUnreachable},
		"no content":  {status(http.StatusNoContent), ErrAnswer},
		"whole files": {func(w http.ResponseWriter, _ *http.Request) { w.Write(content(100)) }, ErrAnswer},
		"packed": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(content(100))
		}, ErrAnswer},
		"another part":     {part("bytes 0-9/100", 10), ErrAnswer},
		"a shorter part":   {part("bytes 5-8/100", 4), ErrAnswer},
		"no part named":    {part("", 10), ErrAnswer},
		"a file too short": {part("bytes 5-14/14", 10), ErrAnswer},
		"a wrong length":   {part("bytes 5-14/100", 11), ErrAnswer},
		"garbage": {func(w http.ResponseWriter, _ *http.Request) {
			c, _, _ := w.(http.Hijacker).Hijack()
			c.Write(content(200))
			c.Close()
		}, ErrUnreachable},
		"hangs up": {func(w http.ResponseWriter, _ *http.Request) {
			c, _, _ := w.(http.Hijacker).Hijack()
			c.Close()
		}, ErrUnreachable},
		"an endless head": {func(w http.ResponseWriter, _ *http.Request) {
			for i := range 10000 {
				w.Header().Set(fmt.Sprint("X-", i), "filler")
			}
		}, ErrUnreachable},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, s := serve(t, c.answer)
			_, err := s.Range(t.Context(), "bundles/a", 5, 10)
			require.ErrorIs(t, err, c.want)
		})
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func part(says string, n int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", says)
		w.WriteHeader(http.StatusPartialContent)
		w.Write(content(n))
	}
}

func TestBodiesWithFaults(t *testing.T) {
	t.Run("cut in the middle", func(t *testing.T) {
		_, s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.Write(content(300))
		})
		_, err := s.File(t.Context(), "a", 5000)
		require.ErrorIs(t, err, ErrUnreachable)
	})
	t.Run("endless", func(t *testing.T) {
		_, s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(content(4096)); err != nil {
					return
				}
			}
		})
		_, err := s.File(t.Context(), "a", 100_000)
		require.ErrorIs(t, err, source.ErrTooLarge)
	})
	t.Run("silent", func(t *testing.T) {
		_, s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.Write(content(300))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		s.silent = 50 * time.Millisecond
		_, err := s.File(t.Context(), "a", 5000)
		require.ErrorContains(t, err, "silent")
		require.ErrorIs(t, err, ErrUnreachable)
	})
	t.Run("a reader that is slow itself", func(t *testing.T) {
		data, tag := content(100_000), ""
		_, s := serve(t, files(data, &tag))
		s.silent = 50 * time.Millisecond
		body, err := s.Range(t.Context(), "bundles/a", 0, 100_000)
		require.NoError(t, err)
		defer body.Close()
		time.Sleep(120 * time.Millisecond)
		got, err := io.ReadAll(body)
		require.NoError(t, err)
		require.Equal(t, data, got)
	})
	t.Run("the caller gives up", func(t *testing.T) {
		_, s := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := s.File(ctx, "a", 5000)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// Only the authorities in the image count, for the host that was asked, at the register's time.
func TestCertificates(t *testing.T) {
	data, tag := content(10), ""
	ts, good := serve(t, files(data, &tag))
	_, err := good.File(t.Context(), "bundles/a", 10)
	require.NoError(t, err)

	stranger, err := New(source.Source{URL: ts.URL + "/shop/", CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: selfSigned(t).Certificate[0]})}, time.Now)
	require.NoError(t, err)
	_, err = stranger.File(t.Context(), "bundles/a", 10)
	require.ErrorIs(t, err, ErrStranger)

	late, err := New(source.Source{URL: ts.URL + "/shop/", CA: certificate(ts)}, func() time.Time { return time.Date(2150, 1, 1, 0, 0, 0, 0, time.UTC) })
	require.NoError(t, err)
	_, err = late.File(t.Context(), "bundles/a", 10)
	require.ErrorIs(t, err, ErrStranger)

	plain := httptest.NewServer(files(data, &tag))
	defer plain.Close()
	s, err := New(source.Source{URL: "https" + strings.TrimPrefix(plain.URL, "http") + "/", CA: certificate(ts)}, time.Now)
	require.NoError(t, err)
	_, err = s.File(t.Context(), "bundles/a", 10)
	require.True(t, errors.Is(err, ErrStranger) || errors.Is(err, ErrUnreachable), "%v", err)

	_, err = New(source.Source{URL: "https://x/", CA: []byte("none")}, time.Now)
	require.Error(t, err)
}

func selfSigned(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestNobodyThere(t *testing.T) {
	ts, s := serve(t, http.NotFound)
	ts.Close()
	_, err := s.File(t.Context(), "a", 10)
	require.ErrorIs(t, err, ErrUnreachable)
}

func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-9/100", "bytes 5-5/*", "bytes */100", "bytes 9-1/5", "bytes 0-9223372036854775807/*", "bytes +1-2/3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, last, total, ok := contentRange(text)
		if !ok {
			return
		}
		require.True(t, 0 <= first && first <= last)
		require.True(t, total == -1 || last < total)
	})
}
