package data

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/keys/datakey"
)

// The header's frame and its two places at the begin of the partition.
const (
	magic      = "CHOBA-DATA-1"
	headerSize = layout.Block
	copy1      = layout.DataHeader
	copy2      = layout.DataHeader + 64*layout.KiB
)

func pair() frame.Pair {
	return frame.Pair{Magic: magic, Offset: [2]int64{copy1, copy2}, Size: headerSize}
}

// Header is what stands in the open at the begin of the partition. What the format fixes (cipher, sector size, where
// the encryption begins) is written in it for people and compared when it is read.
type Header struct {
	Identity [16]byte // of this partition; random
	Check    [32]byte // HMAC-SHA256 of the identity under the key: tells a wrong key before anything is mounted
}

const headerText = `choba data 1
cipher aes-xts-plain64
sector 4096
offset 1048576
identity %s
check %s
`

// Encode writes the header's payload.
func (h Header) Encode() []byte {
	return fmt.Appendf(nil, headerText, hex.EncodeToString(h.Identity[:]), hex.EncodeToString(h.Check[:]))
}

// ParseHeader reads what Encode wrote and nothing else.
func ParseHeader(payload []byte) (Header, error) {
	var identity, check string
	if _, err := fmt.Sscanf(string(payload), headerText, &identity, &check); err != nil {
		return Header{}, fmt.Errorf("reading the data header: %w", err)
	}
	var h Header
	for _, f := range []struct {
		to   []byte
		text string
	}{{h.Identity[:], identity}, {h.Check[:], check}} {
		raw, err := hex.DecodeString(f.text)
		if err != nil || len(raw) != len(f.to) {
			return Header{}, fmt.Errorf("reading the data header: %q is not %d bytes in hex", f.text, len(f.to))
		}
		copy(f.to, raw)
	}
	if string(h.Encode()) != string(payload) {
		return Header{}, errors.New("reading the data header: not as we would have written it")
	}
	return h, nil
}

// headerOf is the header that belongs to a secret.
func headerOf(s datakey.Secret) Header {
	h := Header{Identity: s.Identity}
	mac := hmac.New(sha256.New, s.Key[:])
	fmt.Fprintf(mac, "choba data 1\n%x", s.Identity)
	mac.Sum(h.Check[:0])
	return h
}
