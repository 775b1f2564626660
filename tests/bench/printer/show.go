package printer

import (
	"fmt"
	"image/png"
	"io"
	"strings"
)

// Show prints bytes at once, as a printer without faults, and gives the rows of
// the piece that they cut.
func (p *Printer) Show(b []byte) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	NewTokenizer().Feed(b, func(t Token) { p.do(t) })
	if len(p.done) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(p.done[len(p.done)-1].Text, "\n"), "\n")
}

// PNG writes the paper's picture.
func (p Paper) PNG(w io.Writer) error {
	if err := png.Encode(w, p.Image); err != nil {
		return fmt.Errorf("writing paper %d: %w", p.Number, err)
	}
	return nil
}
