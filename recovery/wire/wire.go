// Package wire brings recovery to the vendor's server: the first network card with a
// cable, an address from DHCP or as typed, and HTTPS with the authority that the boot
// image pins.
//
// It is not services/network: nothing is kept beyond this run, nothing listens, and no
// clock is set. Dates in certificates are not looked at, because a register in
// recovery may have no idea of the time; what is fetched is protected by the release
// keys' threshold and the version floor.
//
// The rule that keeps it small: one server, whole files and the rest of a file.
package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/choba-os/choba/drivers/dhcp"
	"github.com/choba-os/choba/image/source"
	"github.com/choba-os/choba/recovery/act"
	"github.com/choba-os/choba/recovery/redeploy"
)

// How long things may take.
const (
	cableWait   = 8 * time.Second
	addressWait = 25 * time.Second
	quiet       = 30 * time.Second // between two bytes of an answer
)

// Net is the register's network, for one run.
type Net struct {
	Sys  string // "/sys"
	From source.Source
	Now  func() time.Time

	have  act.Setup // what is set up
	card  string
	until time.Time // an address from DHCP is used so long
	dns   []netip.Addr
	text  string
}

// Cards lists the wired cards, switched on so that they know of their cable.
func (n *Net) Cards() ([]act.Card, error) {
	list, err := dhcp.Wired(n.Sys)
	if err != nil {
		return nil, err
	}
	var out []act.Card
	for _, i := range list {
		if err := dhcp.Up(i.Name); err != nil {
			return nil, err
		}
		cable, err := dhcp.Cable(i.Name)
		if err != nil {
			return nil, err
		}
		out = append(out, act.Card{Name: i.Name, Cable: cable})
	}
	return out, nil
}

// Connect gets an address, if there is none that still serves, and returns the server.
func (n *Net) Connect(ctx context.Context, s act.Setup) (redeploy.Server, string, error) {
	if n.card == "" || n.have != s || !n.until.IsZero() && n.Now().After(n.until) {
		n.card = ""
		if err := n.address(ctx, s); err != nil {
			return nil, "", err
		}
	}
	client, err := NewServer(n.From, n.dns)
	return client, n.text, err
}

func (n *Net) address(ctx context.Context, s act.Setup) error {
	list, err := dhcp.Wired(n.Sys)
	if err != nil {
		return err
	}
	problems := []error{act.ErrNoNet}
	for _, i := range list {
		settings, err := n.configure(ctx, i.Name, s)
		if err == nil {
			n.card, n.have, n.dns, n.until = i.Name, s, settings.DNS, time.Time{}
			if settings.Lease > 0 {
				n.until = n.Now().Add(settings.Lease / 2)
			}
			n.text = fmt.Sprintf("%s: %s, gateway %v, DNS %v", i.Name, settings.Address, settings.Router, settings.DNS)
			return nil
		}
		if problems[0] == act.ErrNoNet {
			problems = nil
		}
		problems = append(problems, fmt.Errorf("%s: %w", i.Name, err))
	}
	return errors.Join(problems...)
}

func (n *Net) configure(ctx context.Context, card string, s act.Setup) (dhcp.Settings, error) {
	if err := dhcp.Up(card); err != nil {
		return dhcp.Settings{}, err
	}
	wait, cancel := context.WithTimeout(ctx, cableWait)
	err := dhcp.WaitCable(wait, card)
	cancel()
	if err != nil {
		return dhcp.Settings{}, err
	}
	ctx, cancel = context.WithTimeout(ctx, addressWait)
	defer cancel()
	if !s.Address.IsValid() {
		lease, err := dhcp.Configure(ctx, card)
		if err != nil {
			return dhcp.Settings{}, err
		}
		return lease.Settings, nil
	}
	settings := dhcp.Settings{Address: s.Address, Router: s.Gateway}
	if s.DNS.IsValid() {
		settings.DNS = []netip.Addr{s.DNS}
	}
	return settings, dhcp.Static(ctx, card, settings)
}

// server is one HTTPS server.
type server struct {
	url    string
	client *http.Client
}

// NewServer prepares to ask the server of an update.json, with these name servers.
func NewServer(from source.Source, dns []netip.Addr) (redeploy.Server, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(from.CA) {
		return nil, errors.New("reading update.json: it pins no authority")
	}
	base, err := url.Parse(from.URL)
	if err != nil {
		return nil, fmt.Errorf("reading update.json: %w", err)
	}
	dial := &net.Dialer{Timeout: quiet, Resolver: resolver(dns)}
	return &server{from.URL, &http.Client{
		// A redirect would lead to a server that nobody has named.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := dial.DialContext(ctx, network, addr)
				if err != nil {
					return nil, err
				}
				return impatient{c}, nil
			},
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, VerifyConnection: pinned(roots, base.Hostname())},
			TLSHandshakeTimeout:    quiet,
			ResponseHeaderTimeout:  quiet,
			MaxResponseHeaderBytes: 16 << 10,
			MaxIdleConnsPerHost:    1,
			DisableCompression:     true,
		},
	}}, nil
}

// pinned checks the whole chain against the pinned authorities and the host's name or address, but not the dates. The
// connection does not know the host when it is an address: it is never sent then.
func pinned(roots *x509.CertPool, host string) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return errors.New("the server shows no certificate")
		}
		between := x509.NewCertPool()
		for _, c := range s.PeerCertificates[1:] {
			between.AddCert(c)
		}
		leaf := s.PeerCertificates[0]
		_, err := leaf.Verify(x509.VerifyOptions{
			Roots: roots, Intermediates: between, DNSName: host, CurrentTime: leaf.NotBefore.Add(time.Second),
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		})
		return err
	}
}

// resolver asks the given name servers, one after the other; none of them: no names. The two questions about a name (A and
// AAAA) are asked at once, by two goroutines.
func resolver(dns []netip.Addr) *net.Resolver {
	var asked atomic.Uint32
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		if len(dns) == 0 {
			return nil, errors.New("no name server is known")
		}
		at := netip.AddrPortFrom(dns[int(asked.Add(1)-1)%len(dns)], 53)
		return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, at.String())
	}}
}

// impatient gives up on a peer that says nothing for long.
type impatient struct{ net.Conn }

func (c impatient) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(quiet)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

// Get asks for a file from a byte on.
func (s *server) Get(ctx context.Context, path string, from int64) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return nil, err
	}
	want := http.StatusOK
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
		want = http.StatusPartialContent
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	switch {
	case resp.StatusCode == http.StatusNotFound:
		err = fmt.Errorf("asking for %s: %w", path, fs.ErrNotExist)
	case resp.StatusCode != want:
		err = fmt.Errorf("asking for %s: the server answers %d", path, resp.StatusCode)
	case from > 0 && !starts(resp.Header.Get("Content-Range"), from):
		err = fmt.Errorf("asking for %s: the server sends another part", path)
	default:
		return resp.Body, nil
	}
	return nil, errors.Join(err, resp.Body.Close())
}

func starts(header string, from int64) bool {
	var at int64
	_, err := fmt.Sscanf(header, "bytes %d-", &at)
	return err == nil && at == from
}
