// Package page shows a running bench in a browser: the register's screen to
// touch, a shelf of goods to scan, the paper tape, the drawer, and a fault for
// every device.
//
// It is not the product's back office and is in no image; it listens on
// loopback only.
//
// The rule that keeps it small: the page shows what the bench's devices say
// and passes on what a hand would do; it knows nothing of a sale.
package page

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

//go:embed static
var static embed.FS

// Good is one thing on the shelf.
type Good struct {
	Code    string `json:"code"`
	Name    string `json:"name"`
	Price   int64  `json:"price"` // yen
	Reduced bool   `json:"reduced"`
	Group   string `json:"group"`
}

// Fault is one thing that can be wrong with a device, to switch on and off.
type Fault struct {
	ID, Device, Name string
	On               bool
}

// Register is the bench as the page sees it. All methods may be called at any
// time, also while the machine is off.
type Register interface {
	Picture() (image.Image, error)
	Tap(x, y int) error
	Scan(code string) error
	Paper() (img image.Image, receipts int) // nil while nothing is printed
	DrawerOpen() bool
	CloseDrawer()
	Faults() []Fault
	SetFault(id string, on bool) error
	Power(on bool) error
	Running() bool
	Notes() string // the console's last lines
}

// Page serves one register.
type Page struct {
	reg   Register
	goods []Good

	mu     sync.Mutex // guards all below
	screen []byte     // PNG
	paper  []byte     // PNG
	state  State
	change chan struct{} // closed and replaced on every change
	eyes   int           // browsers that look
}

// State is what the browser is told on every change. Screen and Paper are
// names for the pictures' content, so that the browser fetches each once.
type State struct {
	Screen, Paper string
	Width, Height int
	Receipts      int
	Drawer        bool
	Running       bool
	Faults        []Fault
	Notes         string
}

// New is a page that shows nothing yet.
func New(reg Register, goods []Good) *Page {
	return &Page{reg: reg, goods: goods, change: make(chan struct{})}
}

// Run serves on ln and keeps the pictures fresh until ctx ends.
func (p *Page) Run(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{Handler: p.handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		srv.Close()
	}()
	go p.watch(ctx)
	if err := srv.Serve(ln); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serving the page: %w", err)
	}
	return nil
}

func (p *Page) handler() http.Handler {
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /goods", func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(p.goods) })
	mux.HandleFunc("GET /events", p.events)
	mux.HandleFunc("GET /screen.png", func(w http.ResponseWriter, _ *http.Request) { p.picture(w, func() []byte { return p.screen }) })
	mux.HandleFunc("GET /paper.png", func(w http.ResponseWriter, _ *http.Request) { p.picture(w, func() []byte { return p.paper }) })
	mux.HandleFunc("POST /tap", p.tap)
	mux.HandleFunc("POST /scan", func(w http.ResponseWriter, r *http.Request) { answer(w, p.reg.Scan(r.FormValue("code"))) })
	mux.HandleFunc("POST /drawer", func(w http.ResponseWriter, _ *http.Request) { p.reg.CloseDrawer(); answer(w, nil) })
	mux.HandleFunc("POST /fault", func(w http.ResponseWriter, r *http.Request) {
		answer(w, p.reg.SetFault(r.FormValue("id"), r.FormValue("on") == "true"))
	})
	mux.HandleFunc("POST /power", func(w http.ResponseWriter, r *http.Request) { answer(w, p.reg.Power(r.FormValue("on") == "true")) })
	return sameOrigin(mux)
}

// sameOrigin refuses what another site's page sends through the browser.
func sameOrigin(h http.Handler) http.Handler {
	c := http.NewCrossOriginProtection()
	return c.Handler(h)
}

func answer(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
	}
}

func (p *Page) tap(w http.ResponseWriter, r *http.Request) {
	x, errX := strconv.Atoi(r.FormValue("x"))
	y, errY := strconv.Atoi(r.FormValue("y"))
	if errX != nil || errY != nil {
		http.Error(w, "x and y are whole numbers", http.StatusBadRequest)
		return
	}
	answer(w, p.reg.Tap(x, y))
}

func (p *Page) picture(w http.ResponseWriter, get func() []byte) {
	p.mu.Lock()
	b := get()
	p.mu.Unlock()
	if b == nil {
		http.Error(w, "no picture yet", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(b)
}

// events streams the state as server-sent events, the newest one only.
func (p *Page) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	p.looking(1)
	defer p.looking(-1)
	for {
		p.mu.Lock()
		b, err := json.Marshal(p.state)
		change := p.change
		p.mu.Unlock()
		if err != nil {
			return
		}
		if _, err := fmt.Fprintf(w, "data: %s\n\n", b); err != nil {
			return
		}
		http.NewResponseController(w).Flush()
		select {
		case <-change:
		case <-r.Context().Done():
			return
		}
	}
}

func (p *Page) looking(n int) {
	p.mu.Lock()
	p.eyes += n
	p.mu.Unlock()
}

// watch looks at the register five times a second while a browser does: a
// picture costs the machine time, which matters most while it boots.
func (p *Page) watch(ctx context.Context) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		p.mu.Lock()
		seen := p.eyes > 0
		p.mu.Unlock()
		if seen {
			p.look()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (p *Page) look() {
	s := State{Drawer: p.reg.DrawerOpen(), Running: p.reg.Running(), Faults: p.reg.Faults(), Notes: p.reg.Notes()}
	var screen, paper []byte
	if img, err := p.reg.Picture(); err == nil {
		screen, s.Screen = encode(img)
		s.Width, s.Height = img.Bounds().Dx(), img.Bounds().Dy()
	}
	img, n := p.reg.Paper()
	s.Receipts = n
	if img != nil {
		paper, s.Paper = encode(img)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	a, _ := json.Marshal(s)
	b, _ := json.Marshal(p.state)
	if bytes.Equal(a, b) {
		return
	}
	p.screen, p.paper, p.state = screen, paper, s
	close(p.change)
	p.change = make(chan struct{})
}

func encode(img image.Image) (b []byte, name string) {
	var buf bytes.Buffer
	enc := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := enc.Encode(&buf, img); err != nil {
		return nil, ""
	}
	h := sha256.Sum256(buf.Bytes())
	return buf.Bytes(), hex.EncodeToString(h[:8])
}
