// Package notice sets a page of sentences in type on every screen and lets it stand
// still: what a program says that cannot go on and has nobody else to say it for it.
//
// It is not the register's screen: no touch, no list of damage, one typeface. It
// knows no sentence; who calls it brings them, and a test that message.Font has all
// their characters.
//
// The rule that keeps it small: everything on the page is always visible; when it
// does not fit, the type gets smaller, and nothing is cut.
package notice

// Page is what is shown, from top to bottom.
type Page []Paragraph

// Paragraph is a sentence or two; long ones are wrapped.
type Paragraph struct {
	Text string
	Kind Kind
}

// Kind says how a paragraph looks.
type Kind int

// The kinds of paragraphs.
const (
	Body   Kind = iota // plain
	Lead               // plain, and begins a group
	Title              // large
	Detail             // small: for the technician
)

// New returns a page with nothing but its title, in both tongues.
func New(japanese, english string) Page { return Page{{japanese, Title}, {english, Title}} }

// With returns the page with one group more: a sentence in both tongues and, unless
// it is empty, the technical detail behind it.
func (p Page) With(japanese, english, detail string) Page {
	p = append(p[:len(p):len(p)], Paragraph{japanese, Lead}, Paragraph{english, Body})
	if detail != "" {
		p = append(p, Paragraph{detail, Detail})
	}
	return p
}
