package powercut

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/choba-os/choba/image/bootimage"
	"github.com/choba-os/choba/image/fat"
	"github.com/choba-os/choba/image/gpt"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/image/verity"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/keys/trust"
)

// Register is what a cut register is held against.
type Register struct {
	Trust trust.Root
	Floor uint64              // of its TPM
	Boot  map[[32]byte]string // the boot images that may stand on the ESP: SHA-256 of the file → what people call it
	Parts map[string]gpt.Entry

	good  map[string]error // what was found out of a part at a version of it
	image map[int]string   // ESP version → name of the boot image
	pcr4  map[string]seal.Digest
}

// Outcome is what the next power-on of a cut register does.
type Outcome struct {
	Boot    string // which boot image the firmware finds
	Slot    slot.Name
	Version uint64
	Trial   bool
	Rescue  bool // no slot boots: recovery redeploys from the factory release
}

// String is a row of the table of outcomes.
func (o Outcome) String() string {
	what := fmt.Sprintf("version %d from slot %s", o.Version, o.Slot)
	if o.Rescue {
		return "boot image " + o.Boot + ", redeploys the factory release"
	}
	if o.Trial {
		what += ", on trial"
	}
	return "boot image " + o.Boot + ", " + what
}

// ErrDead is what must never be: a register that needs a person with a stick, or that has lost its data.
var ErrDead = errors.New("the register is dead")

// NewRegister reads the disk before the log. boot names the boot images that may be found.
func NewRegister(d *Disk, size int64, root trust.Root, boot map[string][]byte) (*Register, error) {
	parts, err := gpt.Read(d, size)
	if err != nil {
		return nil, fmt.Errorf("reading the disk: %w", err)
	}
	r := &Register{Trust: root, Boot: map[[32]byte]string{}, Parts: map[string]gpt.Entry{},
		good: map[string]error{}, image: map[int]string{}, pcr4: map[string]seal.Digest{}}
	for _, p := range parts {
		r.Parts[p.Name] = p
		d.Watch(p.Start, p.Size)
	}
	for name, efi := range boot {
		r.Boot[sha256.Sum256(efi)] = name
		pcr, err := bootimage.PCR4(efi)
		if err != nil {
			return nil, err
		}
		r.pcr4[name] = pcr
	}
	return r, nil
}

// Judge does what the next boot would do with the disk, by the product's own code, and says what comes of it. An
// error wraps ErrDead.
func (r *Register) Judge(d *Disk) (Outcome, error) {
	var o Outcome
	var err error
	if o.Boot, err = r.bootImage(d); err != nil {
		return o, fmt.Errorf("%w: boot image: %w", ErrDead, err)
	}
	if err := r.slots(d, &o); err != nil {
		return o, fmt.Errorf("%w: slots: %w", ErrDead, err)
	}
	if err := r.key(d, o.Boot); err != nil {
		return o, fmt.Errorf("%w: data key: %w", ErrDead, err)
	}
	return o, nil
}

func (r *Register) part(d *Disk, name string) *io.SectionReader {
	p := r.Parts[name]
	return io.NewSectionReader(d, p.Start, p.Size)
}

// bootImage is the file that the firmware finds, by the product's FAT reader.
func (r *Register) bootImage(d *Disk) (string, error) {
	p := r.Parts[layout.ESP]
	version, beyond := d.Version(p.Start, p.Size)
	if name, ok := r.image[version]; ok && !beyond {
		return name, nil
	}
	v, err := fat.Open(r.part(d, layout.ESP), p.Size)
	if err != nil {
		return "", err
	}
	f, err := v.Open(layout.BootFile)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, f.Size())); err != nil {
		return "", err
	}
	name, ok := r.Boot[[32]byte(h.Sum(nil))]
	if !ok {
		return "", errors.New("it is neither the old one nor the new one")
	}
	if !beyond {
		r.image[version] = name
	}
	return name, nil
}

// slots finds what recovery would boot.
func (r *Register) slots(d *Disk, o *Outcome) error {
	state := r.Parts[layout.State]
	rec, _, err := slot.Load(io.NewSectionReader(d, state.Start, state.Size))
	if err != nil {
		rec = slot.Default()
	}
	rec, _ = slot.Settle(rec)
	found := map[slot.Name]slot.Release{}
	for _, n := range slot.Names() {
		m, err := r.release(d, layout.SlotPartition(string(n)))
		found[n] = slot.Release{Version: m.Version, Manifest: m.ID, Problem: err}
	}
	for _, c := range slot.Choose(rec, found) {
		if !c.Usable {
			continue
		}
		// The first is what boots. When its blocks are bad the kernel or recovery notices, and the next has its turn.
		if err := r.whole(d, layout.SlotPartition(string(c.Slot))); err != nil {
			continue
		}
		o.Slot, o.Version, o.Trial = c.Slot, found[c.Slot].Version, c.Trial
		return nil
	}
	if err := r.whole(d, layout.Factory); err != nil {
		return fmt.Errorf("none boots, and the factory release is not whole: %w", err)
	}
	o.Rescue = true
	return nil
}

func (r *Register) release(d *Disk, part string) (release.Release, error) {
	p := r.Parts[part]
	signed, err := release.ReadHead(r.part(d, part), p.Size)
	if err != nil {
		return release.Release{}, err
	}
	return release.Check(r.Trust, signed, release.Register{Hardware: release.HardwarePC, Floor: r.Floor})
}

// whole checks every block of a release; what did not change is not read again.
func (r *Register) whole(d *Disk, part string) error {
	p := r.Parts[part]
	version, beyond := d.Version(p.Start, p.Size)
	key := fmt.Sprintf("%s at %d", part, version)
	if err, ok := r.good[key]; ok && !beyond {
		return err
	}
	m, err := r.release(d, part)
	if err == nil {
		err = verity.Verify(r.part(d, part), m.Verity)
	}
	if !beyond {
		r.good[key] = err
	}
	return err
}

// key sees that a sealed key is there for the boot image that the firmware finds, unless the data partition was never
// finished: its head is written last, and without it the first boot begins again.
func (r *Register) key(d *Disk, boot string) error {
	head := make([]byte, layout.Block)
	if _, err := r.part(d, layout.Data).ReadAt(head, layout.DataHeader); err != nil {
		return err
	}
	if len(bytes.Trim(head, "\x00")) == 0 {
		return nil
	}
	stored, err := seal.Load(r.part(d, layout.State))
	if err != nil {
		return err
	}
	for _, b := range stored.Blobs {
		if b.At.Image == r.pcr4[boot] {
			return nil
		}
	}
	return fmt.Errorf("none is sealed to the boot image %s", boot)
}
