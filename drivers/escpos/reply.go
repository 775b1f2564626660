package escpos

// Status is what the printer's sensors say. The zero value is a printer that is
// well: paper, closed, on line.
type Status struct {
	// PinHigh is the drawer connector's pin 3. Which level means "open" depends
	// on the drawer.
	PinHigh bool
	Offline bool
	Cover   bool
	// Feeding: a person holds the feed button.
	Feeding bool
	Cutter  bool
	// Dead is an error that only switching off ends.
	Dead bool
	// Hot is an error that ends by itself (the head cools down).
	Hot      bool
	NearEnd  bool
	PaperEnd bool
}

// Blocked tells whether the printer prints nothing until somebody helps it.
func (s Status) Blocked() bool {
	return s.Offline || s.Cover || s.Cutter || s.Dead || s.Hot || s.PaperEnd
}

// well tells whether there is nothing to ask about but the drawer.
func (s Status) well() bool { return !s.Blocked() && !s.NearEnd && !s.Feeding }

// ReplyKind tells what a printer said.
type ReplyKind int

// The replies.
const (
	// NoReply is the zero value and never given out.
	NoReply ReplyKind = iota
	// Auto is an automatic status of four bytes.
	Auto
	// Asked is one byte, the answer to DLE EOT. What was asked is for the asker
	// to know.
	Asked
	// Mark is a process id: the printer has come this far.
	Mark
	// Text is an answer to GS I.
	Text
	// Junk is a byte that fits nothing.
	Junk
)

// Reply is one thing that a printer said.
type Reply struct {
	Kind   ReplyKind
	Status Status  // Auto
	Byte   byte    // Asked, Junk
	ID     [4]byte // Mark
	Text   string  // Text, 1 to 80 printable characters
}

// Parser takes a printer's bytes as they come, one at a time if need be. A byte
// that does not fit ends what was begun, which is junk then, and is looked at
// again as the first of something new: a lost byte costs one reply, not the
// line.
//
// Known hole: the three last bytes of an automatic status look like any byte
// with bits 4 and 7 clear, so a status that lost a byte may swallow the first
// bytes of the next thing. What comes after is read right again, and the
// printer's state is asked for every second.
type Parser struct {
	held []byte
}

const maxText = 80

// Feed takes bytes and calls fn for each reply.
func (p *Parser) Feed(b []byte, fn func(Reply)) {
	for _, c := range b {
		p.one(c, fn)
	}
}

func (p *Parser) one(c byte, fn func(Reply)) {
	if len(p.held) == 0 {
		p.first(c, fn)
		return
	}
	if !p.fits(c) {
		p.again(c, fn)
		return
	}
	p.held = append(p.held, c)
	if r := p.whole(); r.Kind != NoReply {
		p.held = p.held[:0]
		fn(r)
	}
}

// again gives up what was begun. A mark may have begun inside of it: a lost one
// makes a job unknown, so it is looked for. A status is not: bytes of a text
// could pass for one, and the next one comes soon.
func (p *Parser) again(c byte, fn func(Reply)) {
	rest := append([]byte(nil), p.held[1:]...)
	fn(Reply{Kind: Junk, Byte: p.held[0]})
	p.held = p.held[:0]
	for len(rest) > 0 && rest[0] != headBlock {
		fn(Reply{Kind: Junk, Byte: rest[0]})
		rest = rest[1:]
	}
	for _, b := range rest {
		p.one(b, fn)
	}
	p.one(c, fn)
}

const (
	headBlock = 0x37 // header of a process id, identifier 0x22 follows
	headText  = 0x5f // header of an answer to GS I
)

func (p *Parser) first(c byte, fn func(Reply)) {
	switch {
	case c&0x93 == 0x12:
		fn(Reply{Kind: Asked, Byte: c})
	case c&0x93 == 0x10, c == headBlock, c == headText:
		p.held = append(p.held, c)
	default:
		fn(Reply{Kind: Junk, Byte: c})
	}
}

// fits tells whether c can follow what is held.
func (p *Parser) fits(c byte) bool {
	n := len(p.held)
	switch head := p.held[0]; {
	case head == headBlock:
		switch n {
		case 1:
			return c == 0x22
		case 6:
			return c == 0
		}
		return printable(c)
	case head == headText:
		return c == 0 && n > 1 || printable(c) && n <= maxText
	}
	return c&0x90 == 0
}

func printable(c byte) bool { return c >= 0x20 && c <= 0x7e }

// whole returns the reply that the held bytes are, or none yet.
func (p *Parser) whole() Reply {
	h := p.held
	switch {
	case h[0] == headBlock:
		if len(h) == 7 {
			return Reply{Kind: Mark, ID: [4]byte(h[2:6])}
		}
	case h[0] == headText:
		if h[len(h)-1] == 0 {
			return Reply{Kind: Text, Text: string(h[1 : len(h)-1])}
		}
	case len(h) == 4:
		return Reply{Kind: Auto, Status: status([4]byte(h))}
	}
	return Reply{}
}

// status reads an automatic status.
func status(b [4]byte) Status {
	return Status{
		PinHigh: b[0]&0x04 != 0, Offline: b[0]&0x08 != 0, Cover: b[0]&0x20 != 0, Feeding: b[0]&0x40 != 0,
		Cutter: b[1]&0x08 != 0, Dead: b[1]&0x20 != 0, Hot: b[1]&0x40 != 0,
		NearEnd: b[2]&0x03 != 0, PaperEnd: b[2]&0x0c != 0,
	}
}

// question is the n of DLE EOT n.
type question byte

const (
	askPrinter question = 1
	askOffline question = 2
	askError   question = 3
	askPaper   question = 4
)

// with returns the status corrected by the answer to a question.
func (s Status) with(q question, b byte) Status {
	switch q {
	case askPrinter:
		s.PinHigh, s.Offline = b&0x04 != 0, b&0x08 != 0
	case askOffline:
		s.Cover, s.Feeding = b&0x04 != 0, b&0x08 != 0
	case askError:
		s.Cutter, s.Dead, s.Hot = b&0x08 != 0, b&0x20 != 0, b&0x40 != 0
	case askPaper:
		s.NearEnd, s.PaperEnd = b&0x0c != 0, b&0x60 != 0
	}
	return s
}
