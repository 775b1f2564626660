// Package text sets Japanese and English lines in an outline font.
//
// It does no shaping (neither script needs it here), no hinting and no bidirectional text. Rule that keeps it small: a line is a row
// of glyphs, one a character, each drawn from a cache of masks. Scripts that need more want a shaping engine in its place
// (go-text/typesetting was tried and would fit).
package text

import (
	"fmt"

	"golang.org/x/image/font/sfnt"
	"golang.org/x/text/unicode/norm"
)

// Font is a parsed font file. It is read only and may be shared.
type Font struct{ f *sfnt.Font }

// Parse reads a TrueType or OpenType font; ttf must stay unchanged, since glyphs are read out of it when they are needed.
func Parse(ttf []byte) (*Font, error) {
	f, err := sfnt.Parse(ttf)
	if err != nil {
		return nil, fmt.Errorf("parsing font: %w", err)
	}
	return &Font{f: f}, nil
}

// Has tells whether the font can draw r.
func (f *Font) Has(r rune) bool {
	var b sfnt.Buffer
	g, err := f.f.GlyphIndex(&b, r)
	return err == nil && g != 0
}

// Missing lists the characters of s that the font cannot draw, each once. Line ends and tabs are not asked for.
func (f *Font) Missing(s string) []rune {
	var out []rune
	seen := map[rune]bool{'\n': true, '\r': true, '\t': true}
	for _, r := range norm.NFC.String(s) {
		if !seen[r] && !f.Has(r) {
			out = append(out, r)
		}
		seen[r] = true
	}
	return out
}
