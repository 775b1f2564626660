package espupdate

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/authenticode"
	"github.com/choba-os/choba/image/disk"
	"github.com/choba-os/choba/image/fat"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/init/offer"
	"github.com/choba-os/choba/init/offer/petest"
	"github.com/choba-os/choba/keys/seal"
)

const (
	repository = "../.."
	espSize    = layout.MiB * 40
	imageSize  = 24 << 10
)

var errPower = errors.New("power cut")

// op is one act on the disk: a write, or a flush of that device.
type op struct {
	at   int64
	data []byte // nil: flush
}

// tape is a device over a fixed content whose acts are written down, for the partitions together.
type tape struct {
	base    []byte
	sectors map[int64][]byte
	log     *[]logged
	fail    error // of the next writes
}

type logged struct {
	dev *tape
	op
}

func newTape(base []byte, log *[]logged) *tape {
	return &tape{base: base, sectors: map[int64][]byte{}, log: log}
}

func (d *tape) ReadAt(b []byte, at int64) (int, error) {
	if at >= int64(len(d.base)) {
		return 0, io.EOF
	}
	n := copy(b, d.base[at:])
	for s := at / layout.Sector; s*layout.Sector < at+int64(n); s++ {
		if over, ok := d.sectors[s]; ok {
			from := s*layout.Sector - at
			if from < 0 {
				copy(b[:n], over[-from:])
			} else {
				copy(b[from:n], over)
			}
		}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (d *tape) WriteAt(b []byte, at int64) (int, error) {
	if d.fail != nil {
		return 0, d.fail
	}
	*d.log = append(*d.log, logged{d, op{at, bytes.Clone(b)}})
	d.put(b, at)
	return len(b), nil
}

func (d *tape) put(b []byte, at int64) {
	first, last := at/layout.Sector, (at+int64(len(b))-1)/layout.Sector
	for s := first; s <= last; s++ {
		sector := make([]byte, layout.Sector)
		_, _ = d.ReadAt(sector, s*layout.Sector)
		if from := s*layout.Sector - at; from < 0 {
			copy(sector[-from:], b)
		} else {
			copy(sector, b[from:])
		}
		d.sectors[s] = sector
	}
}

func (d *tape) Sync() error {
	if d.fail != nil {
		return d.fail
	}
	*d.log = append(*d.log, logged{d, op{}})
	return nil
}

// world is a register between two boots: the boot partition, the state partition, and a firmware that measures.
type world struct {
	t          *testing.T
	log        []logged
	esp, state *tape
	old, new   []byte
}

func (w *world) Read() ([]byte, error) {
	v, err := fat.Open(w.esp, espSize)
	if err != nil {
		return nil, err
	}
	f, err := v.Open(layout.BootFile)
	if err != nil {
		return nil, err
	}
	image := make([]byte, f.Size())
	_, err = io.ReadFull(io.NewSectionReader(f, 0, f.Size()), image)
	return image, err
}

func (w *world) Replace(content []byte) error {
	return fat.Replace(w.esp, espSize, layout.BootFile, bytes.NewReader(content), int64(len(content)))
}

// events is what the firmware logs for PCR 4 when it starts this image.
func events(image []byte) []seal.Digest {
	sum, err := authenticode.Hash(image)
	if err != nil {
		panic(err)
	}
	return []seal.Digest{sha256.Sum256([]byte("Calling EFI Application from Boot Option")), sha256.Sum256(make([]byte, 4)), sum}
}

func pcr4(image []byte) (v seal.Digest) {
	for _, e := range events(image) {
		v = sha256.Sum256(append(v[:], e[:]...))
	}
	return v
}

// keys is the TPM as far as it is needed: a blob opens in the boot that it is sealed to. It does what init/data does.
type keys struct {
	w     *world
	now   seal.Boot
	blob  seal.Blob // opened in this boot
	count int
}

func (k *keys) Now() (seal.Boot, error) { return k.now, nil }
func (k *keys) Reseal(next seal.Boot) error {
	return seal.SaveBeside(k.w.state, k.blob, blob(next))
}

func blob(at seal.Boot) seal.Blob {
	return seal.Blob{At: at, PolicyKey: seal.Digest{1}, Public: []byte("public"), Private: at.Image[:]}
}

// boot is what firmware, recovery and init do up to here; it fails the test when the firmware finds no whole image, or
// the data key does not open.
func (w *world) boot() (Parts, *keys) {
	t := w.t
	image, err := w.Read()
	require.NoError(t, err, "the firmware finds no file")
	require.True(t, bytes.Equal(image, w.old) || bytes.Equal(image, w.new), "the firmware finds half a file")
	signers, err := offer.Signers(image)
	require.NoError(t, err)
	require.Len(t, signers, 2)
	k := &keys{w: w, now: seal.Boot{Image: pcr4(image), SecureBoot: seal.Digest{7}}}
	stored, err := seal.Load(w.state)
	require.NoError(t, err)
	opened := false
	for _, b := range stored.Blobs {
		if b.At == k.now && !opened {
			k.blob, opened = b, true
		}
	}
	require.True(t, opened, "the data key stays shut")
	return Parts{File: w, State: w.state, Keys: k, Events: events(image), Version: 14, New: w.new}, k
}

// run is a whole boot that reaches ready.
func (w *world) run() error {
	p, k := w.boot()
	j, err := Prepare(p)
	if err != nil {
		return err
	}
	if j.Due() {
		return j.Write()
	}
	return seal.SaveBeside(w.state, k.blob, k.blob) // init/data.Heal
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, old: petest.Signed(t, repository, 1, imageSize, "one", "two"), new: petest.Signed(t, repository, 2, imageSize*2, "one", "two")}
	base := make(memory, espSize)
	require.NoError(t, disk.WriteESP(base, 2048, espSize, layout.BootFile, w.old))
	w.esp, w.state = newTape(base, &w.log), newTape(make([]byte, 4*layout.MiB), &w.log)
	require.NoError(t, seal.Save(w.state, blob(seal.Boot{Image: pcr4(w.old), SecureBoot: seal.Digest{7}})))
	w.log = nil
	return w
}

type memory []byte

func (m memory) WriteAt(b []byte, at int64) (int, error) { return copy(m[at:], b), nil }

func TestUpdate(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.run())
	image, err := w.Read()
	require.NoError(t, err)
	require.True(t, bytes.Equal(w.new, image))
	require.Equal(t, Written, Load(w.state).State)
	require.NoError(t, w.run())
	require.Equal(t, Done, Load(w.state).State)
	stored, err := seal.Load(w.state)
	require.NoError(t, err)
	require.Len(t, stored.Blobs, 1, "both copies are the new one's")
	w.log = nil
	p, _ := w.boot()
	j, err := Prepare(p)
	require.NoError(t, err)
	require.False(t, j.Due())
	require.Empty(t, w.log, "nothing is written when there is nothing to do")
}

// Power cut at every instant of the update, and of the boot after it: with what was flushed, and any of what was not.
// The firmware finds a whole image that it takes and whose PCR 4 opens the data, and the next boots finish the work.
func TestPowerCuts(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.run())
	require.NoError(t, w.run())
	const variants = 8
	acts := w.log
	random := rand.New(rand.NewPCG(1, 2))
	outcomes := map[string]int{}
	for cut := 0; cut <= len(acts); cut++ {
		for variant := range variants {
			after := w.after(acts[:cut], func(int) bool {
				switch variant {
				case 0:
					return true
				case 1:
					return false
				}
				return random.IntN(2) == 0
			})
			image, _ := after.Read()
			outcomes[fmt.Sprintf("new image %v, %s", bytes.Equal(image, w.new), Load(after.state).State)]++
			for boots := 0; ; boots++ {
				require.Less(t, boots, 4, "cut %d is never finished", cut)
				require.NoError(t, after.run())
				if Load(after.state).State == Done {
					break
				}
			}
			after.boot()
		}
	}
	t.Logf("%d cut points: %v", variants*(len(acts)+1), outcomes)
	require.GreaterOrEqual(t, len(outcomes), 5)
}

// after is the register as the disk has it when the power went behind acts: sectors that were not flushed are there
// when kept says so.
func (w *world) after(acts []logged, kept func(sector int) bool) *world {
	n := &world{t: w.t, old: w.old, new: w.new}
	n.esp, n.state = newTape(w.esp.base, &n.log), newTape(w.state.base, &n.log)
	// The state partition's content before the first act is in its base only when it was made with it.
	first := newWorldState(w.old)
	n.state.base = first
	flushed := map[*tape]int{}
	for i, a := range acts {
		if a.data == nil {
			flushed[a.dev] = i
		}
	}
	for i, a := range acts {
		to := n.esp
		if a.dev == w.state {
			to = n.state
		}
		if a.data == nil {
			continue
		}
		last, ever := flushed[a.dev]
		for off := 0; off < len(a.data); off += layout.Sector {
			if ever && i < last || kept(off) {
				to.put(a.data[off:min(off+layout.Sector, len(a.data))], a.at+int64(off))
			}
		}
	}
	return n
}

// newWorldState is the state partition of a register whose key is sealed to the old image.
func newWorldState(old []byte) []byte {
	var log []logged
	d := newTape(make([]byte, 4*layout.MiB), &log)
	if err := seal.Save(d, blob(seal.Boot{Image: pcr4(old), SecureBoot: seal.Digest{7}})); err != nil {
		panic(err)
	}
	out := make([]byte, len(d.base))
	_, _ = d.ReadAt(out, 0)
	return out
}

// What the firmware or the TPM would not take is not written, and is left after some attempts.
func TestRefusals(t *testing.T) {
	for _, row := range []struct {
		name string
		do   func(w *world, p *Parts)
		want error
	}{
		{"signed by a stranger", func(w *world, p *Parts) { p.New = petest.Signed(w.t, repository, 2, imageSize, "one", "three") }, offer.ErrBootImage},
		{"signed in the wrong order", func(w *world, p *Parts) { p.New = petest.Signed(w.t, repository, 2, imageSize, "two", "one") }, offer.ErrBootImage},
		{"the log does not lead to PCR 4", func(_ *world, p *Parts) { p.Events = p.Events[1:] }, seal.ErrEvents},
		{"the firmware started another file", func(w *world, p *Parts) {
			other := petest.Signed(w.t, repository, 9, imageSize, "one", "two")
			p.Events, p.Keys.(*keys).now.Image = events(other), pcr4(other)
		}, seal.ErrNotInLog},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			p, _ := w.boot()
			row.do(w, &p)
			for range Attempts {
				j, err := Prepare(p)
				require.ErrorIs(t, err, row.want)
				require.False(t, j.Due())
				require.NoError(t, j.Write(), "nothing to do")
			}
			_, err := Prepare(p)
			require.ErrorIs(t, err, ErrGivenUp)
			image, err := w.Read()
			require.NoError(t, err)
			require.True(t, bytes.Equal(image, w.old))
			w.boot()
		})
	}
}

// An older release does not write over what a newer one wrote.
func TestOlderRelease(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.run())
	p, _ := w.boot()
	p.Version, p.New = 13, w.old
	_, err := Prepare(p)
	require.ErrorIs(t, err, ErrOlder)
}

// Between sealing and writing the boot goes on: when the key on the disk is not what it must be, nothing is written.
func TestKeyIsCheckedAgain(t *testing.T) {
	w := newWorld(t)
	p, k := w.boot()
	j, err := Prepare(p)
	require.NoError(t, err)
	require.True(t, j.Due())
	require.NoError(t, seal.SaveBeside(w.state, k.blob, k.blob))
	require.ErrorIs(t, j.Write(), ErrUnready)
	image, err := w.Read()
	require.NoError(t, err)
	require.True(t, bytes.Equal(image, w.old))
	require.Contains(t, Load(w.state).Reason, "not sealed")
}

// A boot partition that cannot be written stays as it is; the attempts are counted.
func TestBrokenDisk(t *testing.T) {
	w := newWorld(t)
	for i := range Attempts {
		p, _ := w.boot()
		j, err := Prepare(p)
		require.NoError(t, err)
		w.esp.fail = errPower
		require.ErrorIs(t, j.Write(), errPower)
		w.esp.fail = nil
		require.Equal(t, i+1, Load(w.state).Attempts)
	}
	p, _ := w.boot()
	_, err := Prepare(p)
	require.ErrorIs(t, err, ErrGivenUp)
}

// Without a TPM nothing is sealed; the file is replaced with the same care.
func TestWithoutTPM(t *testing.T) {
	w := newWorld(t)
	p, _ := w.boot()
	p.Keys, p.Events = nil, nil
	j, err := Prepare(p)
	require.NoError(t, err)
	require.NoError(t, j.Write())
	image, err := w.Read()
	require.NoError(t, err)
	require.True(t, bytes.Equal(image, w.new))
}
