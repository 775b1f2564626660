package release

import (
	"fmt"
	"io"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/layout"
)

const (
	headMagic   = "CHOBA-HEAD-1"
	bundleMagic = "CHOBA-BUNDLE-1"
)

// EncodeHead returns the HeadSize bytes that end a slot partition: the signed
// manifest in a frame.
func EncodeHead(signed []byte) ([]byte, error) { return encodeHead(headMagic, signed) }

func encodeHead(magic string, signed []byte) ([]byte, error) {
	if len(signed) == 0 || len(signed) > MaxNote {
		return nil, fmt.Errorf("writing head: manifest of %d bytes, want 1 to %d", len(signed), MaxNote)
	}
	return frame.Encode(magic, 0, signed, layout.HeadSize)
}

func decodeHead(magic string, block []byte) ([]byte, error) {
	signed, generation, err := frame.Decode(magic, block)
	if err != nil {
		return nil, err
	}
	if generation != 0 || len(signed) == 0 || len(signed) > MaxNote {
		return nil, frame.ErrForm
	}
	return signed, nil
}

// ReadHead returns the signed manifest of a slot partition of the given size, still
// unchecked: hand it to Check. Errors wrap frame.ErrEmpty (no release was ever
// finished here), frame.ErrMagic, frame.ErrChecksum or frame.ErrForm.
func ReadHead(r io.ReaderAt, partition int64) ([]byte, error) {
	block := make([]byte, layout.HeadSize)
	if n, err := r.ReadAt(block, layout.HeadOffset(partition)); n < len(block) {
		return nil, fmt.Errorf("reading slot head: %w", err)
	}
	signed, err := decodeHead(headMagic, block)
	if err != nil {
		return nil, fmt.Errorf("slot head: %w", err)
	}
	return signed, nil
}

// WriteSlot writes a release into a slot partition: it wipes the head, writes and
// flushes EROFS and tree while checking them against the manifest, and writes the
// head last. Cut short anywhere, it leaves a slot without a head.
func WriteSlot(d frame.Device, partition int64, m Manifest, signed []byte, erofs, tree io.Reader) error {
	head, err := EncodeHead(signed)
	if err != nil {
		return err
	}
	if need := m.EROFS.Size + m.Tree.Size + layout.HeadSize; partition < need {
		return fmt.Errorf("writing slot: partition of %d bytes, the release needs %d", partition, need)
	}
	at := layout.HeadOffset(partition)
	if err := put(d, make([]byte, layout.HeadSize), at); err != nil {
		return fmt.Errorf("wiping slot head: %w", err)
	}
	if err := copyPart(io.NewOffsetWriter(d, 0), erofs, PartFile{PartEROFS, m.EROFS}); err != nil {
		return fmt.Errorf("writing slot: %w", err)
	}
	if err := copyPart(io.NewOffsetWriter(d, m.EROFS.Size), tree, PartFile{PartTree, m.Tree}); err != nil {
		return fmt.Errorf("writing slot: %w", err)
	}
	if err := d.Sync(); err != nil {
		return fmt.Errorf("flushing slot: %w", err)
	}
	if err := put(d, head, at); err != nil {
		return fmt.Errorf("writing slot head: %w", err)
	}
	return nil
}

func put(d frame.Device, data []byte, at int64) error {
	if _, err := d.WriteAt(data, at); err != nil {
		return err
	}
	return d.Sync()
}
