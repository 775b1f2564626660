package vm

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/pkcs7"
	"github.com/choba-os/choba/image/release"
)

// manifest reads slot a's manifest.
func (d *flashed) manifest() release.Manifest {
	signed := d.head(layout.SlotA)
	m, _, err := trusted(d.t).OpenRelease(signed)
	require.NoError(d.t, err)
	out, err := release.Parse(m)
	require.NoError(d.t, err)
	return out
}

func (d *flashed) head(part string) []byte {
	p := d.parts[part]
	b := make([]byte, p.Size)
	_, err := d.file.ReadAt(b, p.Start)
	require.NoError(d.t, err)
	signed, err := release.ReadHead(bytes.NewReader(b), p.Size)
	require.NoError(d.t, err)
	return signed
}

// sign puts another manifest into a slot.
func (d *flashed) sign(part string, m release.Manifest, signers ...note.Signer) {
	signed, err := release.Sign(m, signers...)
	require.NoError(d.t, err)
	head, err := release.EncodeHead(signed)
	require.NoError(d.t, err)
	d.write(part, layout.HeadOffset(d.parts[part].Size), head)
}

// A slot that is not what the release keys signed is refused with its reason,
// and the register starts from the other one (A49, A51).
func TestSlotRefusedOtherTaken(t *testing.T) {
	t.Parallel()
	k := keys(t)
	for _, c := range []struct {
		name, reason string
		break_       func(*flashed)
	}{
		{"manifest altered", `slot a: .*`, func(d *flashed) { d.flip(layout.SlotA, layout.HeadOffset(layout.SlotSize)+300) }},
		{"below threshold", `slot a: .*(threshold|1 of|signed by 1)`, func(d *flashed) { d.sign(layout.SlotA, d.manifest(), k.Release[0]) }},
		{"another product", `slot a: .*product`, func(d *flashed) {
			m := d.manifest()
			m.Product = "other-INSECURE"
			d.sign(layout.SlotA, m, k.Release[0], k.Release[1])
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := copyDisk(t)
			c.break_(d)
			r := register(t, d.on)
			on(t, r, ready, stop)
			require.Regexp(t, c.reason, r.Text())
			require.Regexp(t, `switch to slot b`, r.Text())
			require.Regexp(t, ready, r.Text())
		})
	}
}

// A root hash that a stranger signed is refused by the kernel itself, even
// where recovery would take any release that the release keys vouch for.
func TestRootHashOfAStranger(t *testing.T) {
	t.Parallel()
	k := keys(t)
	d := copyDisk(t)
	m := d.manifest()
	key, cert := stranger(t)
	sig, err := pkcs7.Sign([]byte(m.Verity.Root.String()), key, cert)
	require.NoError(t, err)
	m.RootSignature = sig
	d.sign(layout.SlotA, m, k.Release[0], k.Release[1])
	d.wipe(layout.SlotB)
	d.write(layout.State, layout.RecordCopy1, make([]byte, 512))
	d.write(layout.State, layout.RecordCopy2, make([]byte, 512))
	r := register(t, d.on)
	require.Contains(t, on(t, r, ready, stop), "choba-recovery: stop")
	require.Regexp(t, `slot a: .*(stranger|not signed|no key)`, r.Text())
}

// Nothing good in either slot: the register stays in recovery and says on the
// screen and the console what is wrong with each.
func TestBothSlotsRefused(t *testing.T) {
	t.Parallel()
	d := copyDisk(t)
	d.wipe(layout.SlotA)
	d.flip(layout.SlotB, layout.HeadOffset(layout.SlotSize)+300)
	r := register(t, d.on)
	got := on(t, r, stop, ready)
	require.Contains(t, got, "choba-recovery: stop")
	wait(t, r, `slot a: .*`)
	require.Eventually(t, func() bool { return colours(keep(t, r, "recovery-stop")) > 8 }, 30*time.Second, time.Second, "the reasons on the screen")
}

// One altered byte anywhere in the system or its hash tree is noticed before
// it is used: the kernel stops, the next boot names the block and takes the
// other slot.
func TestAlteredSystemIsNoticed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		offset func(release.Manifest) int64
	}{
		{"erofs", func(release.Manifest) int64 { return 1024 + 64 }},
		{"hash tree", func(m release.Manifest) int64 { return m.EROFS.Size + 40 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := copyDisk(t)
			d.flip(layout.SlotA, c.offset(d.manifest()))
			r := register(t, d.on)
			on(t, r, ready, stop)
			require.Regexp(t, `(dm-verity|block|corrupt)`, r.Text())
			require.Regexp(t, `switch to slot b`, r.Text())
			require.Regexp(t, ready, r.Text())
		})
	}
}

// The slot record has two copies; a torn or swapped one costs nothing, and with
// both gone the answer is a defined one.
func TestSlotRecordDamage(t *testing.T) {
	t.Parallel()
	garbage := bytes.Repeat([]byte{0xa5}, 512)
	t.Run("one copy torn", func(t *testing.T) {
		d := copyDisk(t)
		d.write(layout.State, layout.RecordCopy1, garbage)
		r := register(t, d.on)
		on(t, r, ready, stop)
		require.Regexp(t, ready, r.Text())
		require.Regexp(t, `slot record.*cop`, r.Text())
	})
	t.Run("both copies gone", func(t *testing.T) {
		d := copyDisk(t)
		d.write(layout.State, layout.RecordCopy1, garbage)
		d.write(layout.State, layout.RecordCopy2, garbage)
		r := register(t, d.on)
		on(t, r, ready, stop)
		require.Regexp(t, ready, r.Text())
		require.Regexp(t, `slot record`, r.Text())
	})
}
