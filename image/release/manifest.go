// Package release is a release of the system as it lies on a disk or a stick: the
// manifest that the release keys sign, the head of a slot partition, and the
// bundle file that carries everything.
//
// A manifest is text, one "word value…" per line, in this order:
//
//	choba release 1
//	product <name>
//	version <rising integer>
//	name <version for people>
//	schema <oldest data schema that it can read>
//	hardware <name>                        (1 or more, sorted)
//	erofs <bytes> <sha256>
//	tree <bytes> <sha256>
//	boot <bytes> <sha256>                  (the boot image it was built with)
//	sbom <bytes> <sha256>
//	program <path> <bytes> <sha256>        (0 or more, sorted by path)
//	verity <root hash> <salt> <data blocks>
//	root-signature <base64 of a PKCS#7 over the root hash in hex>
//	pcr13-policy-signature <base64 of r‖s>
//
// It is the text of a signed note (golang.org/x/mod/sumdb/note); keys/trust says
// whose signatures count.
//
// The package neither builds the parts nor talks to a kernel. The rule that keeps
// it small: one spelling per manifest; what Encode would not write, Parse refuses.
package release

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/verity"
)

// HardwarePC is the hardware name of every x86-64 register with UEFI.
const HardwarePC = "pc-x86-64"

// Limits of a manifest.
const (
	MaxNote     = 48 << 10 // bytes of a signed manifest; a slot head holds it with room to spare
	MaxWord     = 64       // bytes of product, name, hardware
	MaxPath     = 255
	MaxHardware = 64
	MaxPrograms = 64
	MaxPart     = 1 << 30 // bytes of one part
)

// File is the size and hash of a part.
type File struct {
	Size   int64
	SHA256 [32]byte
}

// Sum returns the File of some bytes.
func Sum(data []byte) File { return File{int64(len(data)), sha256.Sum256(data)} }

// Program is one executable inside the EROFS.
type Program struct {
	Path string // absolute
	File
}

// Manifest says all that is signed about a release.
type Manifest struct {
	Product  string
	Version  uint64   // rises with every release; 0 is none
	Name     string   // what people call the version
	Schema   uint64   // oldest data schema it can read
	Hardware []string // sorted

	EROFS, Tree, Boot, SBOM File
	Programs                []Program // sorted by path

	Verity         verity.Params // HashStart == Blocks: the tree lies right behind the data
	RootSignature  []byte        // PKCS#7 over the hex of Verity.Root
	PCR13Signature []byte        // 64 bytes, ECDSA P-256 r‖s over the approved policy
}

const firstLine = "choba release 1"

// Encode writes the manifest in its only spelling. It refuses what Parse would refuse.
func (m Manifest) Encode() ([]byte, error) {
	text := m.text()
	if _, err := Parse(text); err != nil {
		return nil, fmt.Errorf("writing: %w", err)
	}
	return text, nil
}

func (m Manifest) text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nproduct %s\nversion %d\nname %s\nschema %d\n", firstLine, m.Product, m.Version, m.Name, m.Schema)
	for _, h := range m.Hardware {
		fmt.Fprintf(&b, "hardware %s\n", h)
	}
	for _, p := range m.Parts() {
		fmt.Fprintf(&b, "%s %d %x\n", p.Part, p.Size, p.SHA256)
	}
	for _, p := range m.Programs {
		fmt.Fprintf(&b, "program %s %d %x\n", p.Path, p.Size, p.SHA256)
	}
	fmt.Fprintf(&b, "verity %s %x %d\n", m.Verity.Root, m.Verity.Salt, m.Verity.Blocks)
	fmt.Fprintf(&b, "root-signature %s\n", base64.StdEncoding.EncodeToString(m.RootSignature))
	fmt.Fprintf(&b, "pcr13-policy-signature %s\n", base64.StdEncoding.EncodeToString(m.PCR13Signature))
	return b.Bytes()
}

// Part names one of the four files of a release.
type Part string

// The parts, in the order in which a bundle holds them.
const (
	PartEROFS Part = "erofs"
	PartTree  Part = "tree"
	PartBoot  Part = "boot"
	PartSBOM  Part = "sbom"
)

// PartFile is a part with its size and hash.
type PartFile struct {
	Part Part
	File
}

// Parts returns the four parts in bundle order.
func (m Manifest) Parts() []PartFile {
	return []PartFile{{PartEROFS, m.EROFS}, {PartTree, m.Tree}, {PartBoot, m.Boot}, {PartSBOM, m.SBOM}}
}

// Sign encodes a manifest and signs it. The signers may sign on different days: a
// signed note takes further signature lines.
func Sign(m Manifest, signers ...note.Signer) ([]byte, error) {
	text, err := m.Encode()
	if err != nil {
		return nil, err
	}
	signed, err := note.Sign(&note.Note{Text: string(text)}, signers...)
	if err != nil {
		return nil, fmt.Errorf("signing manifest: %w", err)
	}
	if len(signed) > MaxNote {
		return nil, fmt.Errorf("signing manifest: %d bytes, at most %d", len(signed), MaxNote)
	}
	return signed, nil
}

// check says what is wrong with values that are each well formed.
func (m Manifest) check() error {
	if m.Version == 0 {
		return errors.New("version 0")
	}
	if !slices.IsSorted(m.Hardware) || len(slices.Compact(slices.Clone(m.Hardware))) != len(m.Hardware) {
		return errors.New("hardware names are not sorted, or repeated")
	}
	for i, p := range m.Programs {
		if !goodPath(p.Path) {
			return fmt.Errorf("program path %.80q", p.Path)
		}
		if i > 0 && m.Programs[i-1].Path >= p.Path {
			return errors.New("programs are not sorted, or repeated")
		}
	}
	for _, p := range m.Parts() {
		if p.Size < 1 || p.Size > MaxPart {
			return fmt.Errorf("part %s: %d bytes", p.Part, p.Size)
		}
	}
	if m.EROFS.Size%verity.BlockSize != 0 || m.Verity.Blocks != uint64(m.EROFS.Size/verity.BlockSize) {
		return fmt.Errorf("erofs of %d bytes is not %d blocks", m.EROFS.Size, m.Verity.Blocks)
	}
	if m.Tree.Size != int64(verity.TreeBlocks(m.Verity.Blocks)*verity.BlockSize) {
		return fmt.Errorf("hash tree of %d bytes does not fit %d blocks", m.Tree.Size, m.Verity.Blocks)
	}
	if m.EROFS.Size+m.Tree.Size > layout.SlotContent {
		return fmt.Errorf("erofs and tree take %d bytes, a slot holds %d", m.EROFS.Size+m.Tree.Size, layout.SlotContent)
	}
	if len(m.RootSignature) == 0 || len(m.PCR13Signature) != 64 {
		return errors.New("a signature is missing or of the wrong size")
	}
	return nil
}

func goodWord(s string) bool {
	return s != "" && len(s) <= MaxWord && strings.Trim(s, wordBytes) == ""
}

const wordBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-+"

func goodPath(s string) bool {
	if len(s) > MaxPath || !strings.HasPrefix(s, "/") {
		return false
	}
	for _, part := range strings.Split(s[1:], "/") {
		if !goodWord(part) || part == "." || part == ".." {
			return false
		}
	}
	return true
}

func parseHash(s string) (h [32]byte, err error) {
	if len(s) != 2*len(h) {
		return h, fmt.Errorf("hash of %d digits", len(s))
	}
	_, err = hex.Decode(h[:], []byte(s))
	return h, err
}
