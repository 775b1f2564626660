package escrow

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/layout"
)

const magic = "CHOBA-ESCROW-1"

func pair() frame.Pair {
	return frame.Pair{
		Magic:  magic,
		Offset: [2]int64{layout.EscrowCopy1, layout.EscrowCopy2},
		Size:   layout.EscrowSize,
		Check:  func(payload []byte) error { _, err := Parse(payload); return err },
	}
}

// Why there is no block.
var (
	ErrNone    = errors.New("no key in escrow on this disk")
	ErrDamaged = errors.New("both copies of the key in escrow are unreadable")
)

const blockText = `choba escrow 1
identity %s
recipient %s
used %d %d
salt %s
sealed %s
vendor %s
`

// Encode writes the block down.
func (b Block) Encode() []byte {
	return fmt.Appendf(nil, blockText, hex.EncodeToString(b.Identity[:]), b.Recipient, b.Used, b.Last, hex.EncodeToString(b.Salt[:]),
		base64.StdEncoding.EncodeToString(b.Sealed), base64.StdEncoding.EncodeToString(b.Age))
}

// Parse reads what Encode wrote and nothing else.
func Parse(payload []byte) (Block, error) {
	var b Block
	if len(payload) > layout.EscrowSize {
		return Block{}, fmt.Errorf("reading escrow: %d bytes, at most %d", len(payload), layout.EscrowSize)
	}
	var identity, salt, sealed, vendor string
	_, err := fmt.Sscanf(string(payload), blockText, &identity, &b.Recipient, &b.Used, &b.Last, &salt, &sealed, &vendor)
	if err != nil {
		return Block{}, fmt.Errorf("reading escrow: %w", err)
	}
	for _, f := range []struct {
		to   []byte
		text string
	}{{b.Identity[:], identity}, {b.Salt[:], salt}} {
		raw, err := hex.DecodeString(f.text)
		if err != nil || len(raw) != len(f.to) {
			return Block{}, fmt.Errorf("reading escrow: %q is not %d bytes in hex", f.text, len(f.to))
		}
		copy(f.to, raw)
	}
	for _, f := range []struct {
		to   *[]byte
		text string
	}{{&b.Sealed, sealed}, {&b.Age, vendor}} {
		if *f.to, err = base64.StdEncoding.Strict().DecodeString(f.text); err != nil {
			return Block{}, fmt.Errorf("reading escrow: %w", err)
		}
	}
	if b.Last < 0 || string(b.Encode()) != string(payload) {
		return Block{}, errors.New("reading escrow: not as we would have written it")
	}
	return b, nil
}

// Load reads the block from the state partition; whole says whether both copies
// could be read. Errors: ErrNone, ErrDamaged.
func Load(from io.ReaderAt) (b Block, whole bool, err error) {
	found, err := pair().Load(from)
	if errors.Is(found.Problem[0], frame.ErrEmpty) && errors.Is(found.Problem[1], frame.ErrEmpty) {
		return Block{}, false, ErrNone
	}
	if err != nil {
		return Block{}, false, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	b, err = Parse(found.Payload)
	return b, found.Problem == [2]error{}, err
}

// Store writes the block over the older or unreadable copy.
func Store(to frame.Device, b Block) error {
	if err := pair().Store(to, b.Encode()); err != nil {
		return fmt.Errorf("storing escrow: %w", err)
	}
	return nil
}
