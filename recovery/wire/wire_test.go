package wire

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/source"
)

func serve(t *testing.T, h http.HandlerFunc) source.Source {
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return source.Source{URL: s.URL + "/", CA: ca}
}

func files(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/bundles/a" {
		http.NotFound(w, r)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, stringsReader("0123456789"))
}

func stringsReader(s string) io.ReadSeeker { return io.NewSectionReader(readerAt(s), 0, int64(len(s))) }

type readerAt string

func (r readerAt) ReadAt(b []byte, off int64) (int, error) { return copy(b, r[off:]), nil }

func TestGet(t *testing.T) {
	s, err := NewServer(serve(t, files), nil)
	require.NoError(t, err)
	for from, want := range map[int64]string{0: "0123456789", 7: "789"} {
		r, err := s.Get(context.Background(), "bundles/a", from)
		require.NoError(t, err)
		b, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.Equal(t, want, string(b))
	}
	_, err = s.Get(context.Background(), "bundles/b", 0)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// TestOnlyTheServer: strangers' certificates, redirects and answers to another question are refused.
func TestOnlyTheServer(t *testing.T) {
	good, other := serve(t, files), serve(t, files)
	other.CA = otherCA(t)
	s, err := NewServer(other, nil)
	require.NoError(t, err)
	_, err = s.Get(context.Background(), "bundles/a", 0)
	require.ErrorContains(t, err, "certificate")

	moved := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, good.URL, http.StatusFound) })
	s, err = NewServer(moved, nil)
	require.NoError(t, err)
	_, err = s.Get(context.Background(), "bundles/a", 0)
	require.ErrorContains(t, err, "answers 302")

	whole := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "all of it") })
	s, err = NewServer(whole, nil)
	require.NoError(t, err)
	_, err = s.Get(context.Background(), "bundles/a", 3)
	require.ErrorContains(t, err, "answers 200", "a server that ignores the range would be taken for the rest")

	shifted := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Range", "bytes 4-9/10")
		w.WriteHeader(http.StatusPartialContent)
	})
	s, err = NewServer(shifted, nil)
	require.NoError(t, err)
	_, err = s.Get(context.Background(), "bundles/a", 3)
	require.ErrorContains(t, err, "another part")

	_, err = NewServer(source.Source{URL: good.URL}, nil)
	require.Error(t, err, "without a pinned authority nobody is asked")
}

func TestNames(t *testing.T) {
	from := serve(t, files)
	from.URL = "https://updates.choba.test/"
	s, err := NewServer(from, nil)
	require.NoError(t, err)
	_, err = s.Get(context.Background(), "x", 0)
	require.ErrorContains(t, err, "no name server is known")
}

// TestAnotherHost: a certificate of the pinned authority for another host is refused, also where the server is named by
// its address, which TLS does not carry.
func TestAnotherHost(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"mail.choba.test"},
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	require.NoError(t, err)
	web := httptest.NewUnstartedServer(http.HandlerFunc(files))
	web.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	web.StartTLS()
	t.Cleanup(web.Close)
	s, err := NewServer(source.Source{URL: web.URL + "/", CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, nil)
	require.NoError(t, err)
	_, err = s.Get(context.Background(), "bundles/a", 0)
	require.ErrorAs(t, err, &x509.HostnameError{})
}

// TestNameServersTakeTurns: both questions about a name are asked at once, of one server each.
func TestNameServersTakeTurns(t *testing.T) {
	servers := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")}
	r := resolver(servers)
	const questions = 200
	at := make(chan string, questions)
	for range questions {
		go func() {
			c, err := r.Dial(context.Background(), "udp", "")
			if err != nil {
				at <- err.Error()
				return
			}
			at <- c.RemoteAddr().String()
			_ = c.Close()
		}()
	}
	asked := map[string]int{}
	for range questions {
		asked[<-at]++
	}
	require.Equal(t, map[string]int{"127.0.0.1:53": questions / 2, "127.0.0.2:53": questions / 2}, asked)
}

// otherCA is a well-formed authority that signed nothing here.
func otherCA(t *testing.T) []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
