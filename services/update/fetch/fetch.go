// Package fetch reads the files of a vendor's repository from the one HTTPS server that a register is built for.
//
// The server's certificate must come from the authorities in the image, redirects are refused, every answer is bounded
// in size and in time, and parts of one file must all be of the same state of that file. What it delivers is untrusted
// all the same: signatures and hashes decide elsewhere.
//
// It does not try again, remember or choose; services/update does. The rule that keeps it small: one request, one
// answer or one reason.
package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/choba-os/choba/image/source"
)

// Times. A shop's line may be slow; a line that is silent is broken.
const (
	dialTime   = 15 * time.Second
	tlsTime    = 15 * time.Second
	headTime   = 30 * time.Second // until an answer begins
	silentTime = 30 * time.Second // between two pieces of a body
	fileTime   = 5 * time.Minute  // for a whole metadata file

	conns    = 2 // at once
	maxHead  = 16 << 10
	maxTags  = 8   // files whose state is remembered
	maxTag   = 256 // bytes of a state's name
	userName = "choba-update"
)

// Why an answer was not taken. ErrUnreachable is everyday life in a shop; the others want somebody's eye.
var (
	ErrUnreachable = errors.New("the update server cannot be reached")
	ErrStranger    = errors.New("the update server cannot prove who it is")
	ErrAnswer      = errors.New("the update server's answer makes no sense")
	ErrChanged     = errors.New("the file changed at the update server while it was read")
)

// Server reads from one server. It implements source.Fetcher; its methods may be used by several goroutines at once.
type Server struct {
	base   *url.URL
	client *http.Client
	silent time.Duration
	file   time.Duration

	mu   sync.Mutex        // guards what follows
	tags map[string]string // path → the state of the file that parts were read of
}

// New is a client of the server that the image names. now is the clock by which its certificate is judged.
func New(from source.Source, now func() time.Time) (*Server, error) {
	base, err := url.Parse(from.URL)
	if err != nil {
		return nil, fmt.Errorf("the update server's address: %w", err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(from.CA) {
		return nil, errors.New("the update server's authorities: no certificate")
	}
	return &Server{
		base: base, silent: silentTime, file: fileTime, tags: map[string]string{},
		client: &http.Client{
			Transport: &http.Transport{
				DialContext:            (&net.Dialer{Timeout: dialTime}).DialContext,
				TLSClientConfig:        &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS13, Time: now},
				TLSHandshakeTimeout:    tlsTime,
				ResponseHeaderTimeout:  headTime,
				MaxResponseHeaderBytes: maxHead,
				MaxConnsPerHost:        conns,
				MaxIdleConns:           conns,
				IdleConnTimeout:        time.Minute,
				DisableCompression:     true, // a body is exactly as long as it says
			},
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return fmt.Errorf("%w: it points elsewhere", ErrAnswer)
			},
		},
	}, nil
}

// Close gives up idle connections.
func (s *Server) Close() { s.client.CloseIdleConnections() }

// File returns a whole file of at most limit bytes.
func (s *Server) File(ctx context.Context, path string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.file)
	defer cancel()
	data, err := s.whole(ctx, path, limit)
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", path, err)
	}
	return data, nil
}

func (s *Server) whole(ctx context.Context, path string, limit int64) ([]byte, error) {
	answer, body, err := s.ask(ctx, path, nil)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: %s", ErrAnswer, answer.Status)
	}
	if answer.ContentLength > limit {
		return nil, fmt.Errorf("%d bytes, at most %d: %w", answer.ContentLength, limit, source.ErrTooLarge)
	}
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("more than %d bytes: %w", limit, source.ErrTooLarge)
	}
	return data, nil
}

// Range returns n bytes from an offset. All parts of one path are of the same state of the file, as far as the server
// names its states (ETag); otherwise the error is ErrChanged, once: the next part begins anew.
func (s *Server) Range(ctx context.Context, path string, from, n int64) (io.ReadCloser, error) {
	body, err := s.part(ctx, path, from, n)
	if err != nil {
		return nil, fmt.Errorf("fetching %d bytes of %s from %d: %w", n, path, from, err)
	}
	return body, nil
}

func (s *Server) part(ctx context.Context, path string, from, n int64) (io.ReadCloser, error) {
	if from < 0 || n < 1 || from+n < from {
		return nil, errors.New("no such part")
	}
	head := http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", from, from+n-1)}}
	tag := s.tag(path)
	if tag != "" {
		head.Set("If-Range", tag)
	}
	answer, body, err := s.ask(ctx, path, head)
	if err != nil {
		return nil, err
	}
	if err := s.fits(answer, path, tag, from, n); err != nil {
		return nil, errors.Join(err, body.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(body, n), body}, nil
}

// fits holds an answer against what was asked.
func (s *Server) fits(answer *http.Response, path, tag string, from, n int64) error {
	switch answer.StatusCode {
	case http.StatusPartialContent:
	case http.StatusRequestedRangeNotSatisfiable:
		return fmt.Errorf("%w: the file is shorter", ErrAnswer)
	case http.StatusOK:
		if tag != "" {
			s.setTag(path, "")
			return ErrChanged
		}
		return fmt.Errorf("%w: it sends whole files only", ErrAnswer)
	default:
		return fmt.Errorf("%w: %s", ErrAnswer, answer.Status)
	}
	first, last, total, ok := contentRange(answer.Header.Get("Content-Range"))
	if !ok || first != from || last != from+n-1 || total >= 0 && total < from+n {
		return fmt.Errorf("%w: it sends the part %.60q", ErrAnswer, answer.Header.Get("Content-Range"))
	}
	if answer.ContentLength >= 0 && answer.ContentLength != n {
		return fmt.Errorf("%w: %d bytes for a part of %d", ErrAnswer, answer.ContentLength, n)
	}
	now := answer.Header.Get("ETag")
	if tag != "" && now != tag {
		s.setTag(path, "")
		return ErrChanged
	}
	if !strings.HasPrefix(now, "W/") { // a weak name does not tell bytes apart
		s.setTag(path, now)
	}
	return nil
}

// ask sends a request and gives the answer with a body that ends when it is silent too long. Statuses that mean the
// same for every caller are errors already.
func (s *Server) ask(ctx context.Context, path string, head http.Header) (*http.Response, io.ReadCloser, error) {
	if !isPath(path) {
		return nil, nil, fmt.Errorf("no path inside a repository: %.80q", path)
	}
	ctx, cancel := context.WithCancel(ctx)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base.JoinPath(path).String(), nil)
	if err != nil {
		cancel()
		return nil, nil, err
	}
	if head != nil {
		r.Header = head
	}
	r.Header.Set("User-Agent", userName)
	answer, err := s.client.Do(r)
	if err != nil {
		cancel()
		return nil, nil, classify(err)
	}
	body := watch(answer.Body, s.silent, cancel)
	switch {
	case answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusGone:
		return nil, nil, errors.Join(source.ErrMissing, body.Close())
	case answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests:
		return nil, nil, errors.Join(fmt.Errorf("%w: it says %d", ErrUnreachable, answer.StatusCode), body.Close())
	case answer.Header.Get("Content-Encoding") != "":
		return nil, nil, errors.Join(fmt.Errorf("%w: an encoded body", ErrAnswer), body.Close())
	}
	return answer, body, nil
}

// classify tells a server that is not there from one that must not be believed.
func classify(err error) error {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, context.Canceled) || errors.Is(err, ErrAnswer):
		return err
	case errors.As(err, &certificate) || errors.As(err, &record):
		return fmt.Errorf("%w: %w", ErrStranger, err)
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

func (s *Server) tag(path string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tags[path]
}

func (s *Server) setTag(path, tag string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if tag == "" || len(tag) > maxTag {
		delete(s.tags, path)
		return
	}
	if _, known := s.tags[path]; !known && len(s.tags) >= maxTags {
		clear(s.tags)
	}
	s.tags[path] = tag
}
