package redeploy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/frame/frametest"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/image/source"
	"github.com/choba-os/choba/image/verity"
	"github.com/choba-os/choba/keys/trust"
	"github.com/choba-os/choba/recovery/redeploy"
	"github.com/choba-os/choba/recovery/redeploy/redeploytest"
)

// folder is a stick in memory.
type folder map[string][]byte

func (f folder) Files(dir string) (names []string, err error) {
	for p := range f {
		if in, name, ok := strings.Cut(p, "/"); ok && in == dir {
			names = append(names, name)
		} else if !ok && dir == "" {
			names = append(names, p)
		}
	}
	if len(names) == 0 {
		return nil, fs.ErrNotExist
	}
	return names, nil
}

func (f folder) Open(path string) (redeploy.File, error) {
	b, ok := f[path]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return file{bytes.NewReader(b)}, nil
}

type file struct{ *bytes.Reader }

func (f file) Size() int64 { return f.Reader.Size() }

func stickOf(v *redeploytest.Vendor, f folder) redeploy.Source {
	return redeploy.StickOf(v.Root.Product, release.HardwarePC, func(context.Context) (redeploy.Folder, error) { return f, nil })
}

// ruined is a register whose slots a and b are committed and damaged, with a factory release 3.
func ruined(t *testing.T) (*redeploytest.Machine, *redeploytest.Vendor) {
	v, m := redeploytest.NewVendor(t, "prod"), redeploytest.NewMachine(t)
	a, b := v.Release(7, 2, nil), v.Release(6, 2, nil)
	m.Put(1, a)
	m.Put(2, b)
	m.Put(3, v.Release(3, 2, nil))
	spoil(m, 1, 5*verity.BlockSize)
	spoil(m, 2, 5*verity.BlockSize)
	m.Store(slot.Record{A: good(7, a.ID()), B: good(6, b.ID()), Preferred: slot.A})
	return m, v
}

func good(version uint64, id slot.Manifest) slot.Slot {
	return slot.Slot{State: slot.Good, Version: version, Manifest: id}
}

func spoil(m *redeploytest.Machine, part int, at int64) {
	p := m.Part(part)
	b := make([]byte, 1)
	if _, err := p.ReadAt(b, at); err != nil {
		panic(err)
	}
	b[0] ^= 1
	if _, err := p.WriteAt(b, at); err != nil {
		panic(err)
	}
}

// boots says which slot recovery would boot now, through the code that chooses.
func boots(t require.TestingT, m *redeploytest.Machine, v *redeploytest.Vendor) (slot.Name, release.Release) {
	reg := m.Register(v)
	rec, _, err := slot.Load(reg.State)
	if err != nil {
		rec = slot.Default()
	}
	found, releases := map[slot.Name]slot.Release{}, map[slot.Name]release.Release{}
	for _, n := range slot.Names() {
		signed, err := release.ReadHead(reg.Slots[n], reg.Slots[n].Size)
		var r release.Release
		if err == nil {
			r, err = release.Check(v.Root, signed, release.Register{Hardware: release.HardwarePC})
		}
		if err == nil {
			err = verity.Verify(reg.Slots[n], r.Verity)
		}
		releases[n] = r
		found[n] = slot.Release{Version: r.Version, Manifest: slot.Manifest(r.ID), Problem: err}
	}
	for _, c := range slot.Choose(rec, found) {
		if c.Usable {
			return c.Slot, releases[c.Slot]
		}
	}
	return "", release.Release{}
}

// A51: the factory release comes back, on trial, and the older of two damaged slots gives way.
func TestFactory(t *testing.T) {
	m, v := ruined(t)
	n, _ := boots(t, m, v)
	require.Empty(t, n)
	d := redeploy.Deployer{Register: m.Register(v)}
	_, err := d.From(context.Background(), redeploy.Slots(d.Register, false), false)
	require.ErrorIs(t, err, redeploy.ErrNothing)
	done, err := d.From(context.Background(), redeploy.FactoryOf(d.Register), false)
	require.NoError(t, err)
	require.Equal(t, redeploy.Factory, done.Kind)
	require.Equal(t, slot.B, done.Slot)
	n, r := boots(t, m, v)
	require.Equal(t, slot.B, n)
	require.Equal(t, uint64(3), r.Version)
	require.Equal(t, slot.Trial, m.Record().B.State)
	require.Equal(t, slot.Good, m.Record().A.State)
}

// A51: below the floor nothing is written, and nothing else that is not for this register either.
func TestRefusals(t *testing.T) {
	stranger := redeploytest.NewVendor(t, "evil")
	for _, row := range []struct {
		name  string
		make  func(v *redeploytest.Vendor) redeploytest.Release
		cause error
	}{
		{"below the floor", func(v *redeploytest.Vendor) redeploytest.Release { return v.Release(4, 2, nil) }, release.ErrFloor},
		{"one signature", func(v *redeploytest.Vendor) redeploytest.Release { return v.Release(9, 1, nil) }, trust.ErrThreshold},
		{"strangers", func(*redeploytest.Vendor) redeploytest.Release { return stranger.Release(9, 3, nil) }, trust.ErrStranger},
		{"another product", func(v *redeploytest.Vendor) redeploytest.Release {
			return v.Release(9, 2, func(m *release.Manifest) { m.Product = "toaster" })
		}, release.ErrProduct},
		{"other hardware", func(v *redeploytest.Vendor) redeploytest.Release {
			return v.Release(9, 2, func(m *release.Manifest) { m.Hardware = []string{"abacus"} })
		}, release.ErrHardware},
	} {
		t.Run(row.name, func(t *testing.T) {
			m, v := ruined(t)
			reg := m.Register(v)
			reg.Floor = 5
			before := bytes.Clone(m.Disk.Data)
			d := redeploy.Deployer{Register: reg}
			r := row.make(v)
			_, err := d.From(context.Background(), stickOf(v, folder{"a.choba": v.Bundle(r)}), true)
			require.ErrorIs(t, err, row.cause)
			m.Put(3, r)
			copy(before[redeploytest.StateSize+2*redeploytest.SlotSize:], m.Disk.Data[redeploytest.StateSize+2*redeploytest.SlotSize:][:redeploytest.SlotSize])
			_, err = d.From(context.Background(), redeploy.FactoryOf(reg), true)
			require.ErrorIs(t, err, row.cause)
			require.True(t, bytes.Equal(before, m.Disk.Data), "nothing was written")
		})
	}
}

func TestStickTakesTheNewestThatIsWhole(t *testing.T) {
	m, v := ruined(t)
	best := v.Bundle(v.Release(12, 2, nil))
	best[layout.HeadSize+9000] ^= 1 // altered inside: found only while it is written
	cut := v.Bundle(v.Release(11, 2, nil))
	old := v.Release(8, 2, nil)
	path, err := source.BundlePath(old.Signed)
	require.NoError(t, err)
	f := folder{
		"new.choba": best, "bundles/cut.CHOBA": cut[:len(cut)/2], "bundles/good.choba": v.Bundle(v.Release(10, 2, nil)),
		path: v.Bundle(old), source.LatestPath(v.Root.Product, release.HardwarePC): old.Signed,
		"photo.jpg": []byte("x"), "empty.choba": nil, "noise.choba": bytes.Repeat([]byte("noise"), 20000),
	}
	d := redeploy.Deployer{Register: m.Register(v)}
	var phases []redeploy.Phase
	d.Report = func(p redeploy.Progress) {
		require.LessOrEqual(t, p.Done, max(p.Total, 0))
		if len(phases) == 0 || phases[len(phases)-1] != p.Phase {
			phases = append(phases, p.Phase)
		}
	}
	done, err := d.From(context.Background(), stickOf(v, f), false)
	require.NoError(t, err)
	require.Equal(t, uint64(10), done.Release.Version)
	require.Equal(t, []redeploy.Phase{redeploy.Looking, redeploy.Writing, redeploy.Checking}, phases)
	_, r := boots(t, m, v)
	require.Equal(t, uint64(10), r.Version)
	require.False(t, done.Renewed, "a whole factory release is left alone")

	_, err = d.From(context.Background(), stickOf(v, folder{"photo.jpg": nil}), false)
	require.ErrorIs(t, err, redeploy.ErrNothing)
}

func TestFactoryIsRenewedOnlyWhenItCannotServe(t *testing.T) {
	for name, ruin := range map[string]func(*redeploytest.Machine, *redeploy.Register){
		"head wiped": func(m *redeploytest.Machine, _ *redeploy.Register) {
			spoil(m, 3, redeploytest.SlotSize-layout.HeadSize+70)
		},
		"block damaged":   func(m *redeploytest.Machine, _ *redeploy.Register) { spoil(m, 3, 4096) },
		"below the floor": func(_ *redeploytest.Machine, r *redeploy.Register) { r.Floor = 5 },
	} {
		m, v := ruined(t)
		reg := m.Register(v)
		ruin(m, &reg)
		d := redeploy.Deployer{Register: reg}
		done, err := d.From(context.Background(), stickOf(v, folder{"a.choba": v.Bundle(v.Release(9, 2, nil))}), false)
		require.NoError(t, err, name)
		require.NoError(t, done.RenewProblem, name)
		require.True(t, done.Renewed, name)
		again, err := d.From(context.Background(), redeploy.FactoryOf(reg), false)
		require.NoError(t, err)
		require.Equal(t, uint64(9), again.Release.Version)
	}
}

// TestOtherSlot: a whole release that only missed ready too often is tried again, once, without copying.
func TestOtherSlot(t *testing.T) {
	v, m := redeploytest.NewVendor(t, "prod"), redeploytest.NewMachine(t)
	a := v.Release(7, 2, nil)
	m.Put(1, a)
	s := good(7, a.ID())
	s.Unready = slot.UnreadyLimit
	m.Store(slot.Record{A: s, Preferred: slot.A})
	d := redeploy.Deployer{Register: m.Register(v)}
	done, err := d.From(context.Background(), redeploy.Slots(d.Register, false), false)
	require.NoError(t, err)
	require.Equal(t, slot.A, done.Slot)
	require.Equal(t, slot.Trial, m.Record().A.State)

	// Its trials fail: it is refused, and by itself recovery never takes it again.
	rec, err := slot.Refuse(m.Record(), slot.A, "failed again")
	require.NoError(t, err)
	m.Store(rec)
	_, err = d.From(context.Background(), redeploy.Slots(d.Register, false), false)
	require.ErrorIs(t, err, redeploy.ErrNothing)
	m.Put(3, a)
	_, err = d.From(context.Background(), redeploy.FactoryOf(d.Register), false)
	require.ErrorIs(t, err, redeploy.ErrSpent, "the same release is no better from elsewhere")

	// A person may.
	_, err = d.From(context.Background(), redeploy.Slots(d.Register, true), true)
	require.NoError(t, err)

	// Damaged, it is no help to anybody, and the record stays as it is.
	spoil(m, 1, 4096)
	before := m.Record()
	_, err = d.From(context.Background(), redeploy.Slots(d.Register, true), true)
	require.ErrorIs(t, err, verity.ErrCorrupt)
	require.Equal(t, before, m.Record())
}

func TestLostRecord(t *testing.T) {
	m, v := ruined(t)
	clear(m.Disk.Data[:layout.RecordCopy2+layout.RecordSize])
	d := redeploy.Deployer{Register: m.Register(v)}
	_, err := d.From(context.Background(), redeploy.FactoryOf(d.Register), false)
	require.NoError(t, err)
	_, r := boots(t, m, v)
	require.Equal(t, uint64(3), r.Version)
}

func TestTheKernelHasTheLastWord(t *testing.T) {
	m, v := ruined(t)
	no := errors.New("not signed for this kernel")
	reg := m.Register(v)
	reg.Prove = func(slot.Name, release.Release) error { return no }
	d := redeploy.Deployer{Register: reg}
	_, err := d.From(context.Background(), redeploy.FactoryOf(reg), false)
	require.ErrorIs(t, err, no)
	n, _ := boots(t, m, v)
	require.Empty(t, n)
}

// liar is a disk that keeps in memory what it was given, and loses a bit of it.
type liar struct {
	frame.Device
	forgot bool
}

func (l *liar) Forget() error { l.forgot = true; return nil }

func (l *liar) ReadAt(b []byte, off int64) (int, error) {
	n, err := l.Device.ReadAt(b, off)
	if l.forgot && off == 4096 {
		b[7] ^= 1
	}
	return n, err
}

func TestReadsBackFromTheDisk(t *testing.T) {
	m, v := ruined(t)
	reg := m.Register(v)
	p := reg.Slots[slot.B]
	p.Device = &liar{Device: p.Device}
	reg.Slots[slot.B] = p
	d := redeploy.Deployer{Register: reg}
	_, err := d.From(context.Background(), redeploy.FactoryOf(reg), false)
	require.ErrorIs(t, err, verity.ErrCorrupt)
	require.Equal(t, slot.Empty, m.Record().B.State)
}

func TestStopping(t *testing.T) {
	m, v := ruined(t)
	ctx, cancel := context.WithCancel(context.Background())
	d := redeploy.Deployer{Register: m.Register(v)}
	d.Report = func(p redeploy.Progress) {
		if p.Phase == redeploy.Writing && p.Done > 0 {
			cancel()
		}
	}
	_, err := d.From(ctx, stickOf(v, folder{"a.choba": v.Bundle(v.Release(9, 2, nil)), "b.choba": v.Bundle(v.Release(8, 2, nil))}), false)
	require.ErrorIs(t, err, context.Canceled)
	n, _ := boots(t, m, v)
	require.Empty(t, n)
	require.Equal(t, slot.Empty, m.Record().B.State)
}

// server is a web server in memory that breaks off now and then.
type server struct {
	files folder
	every int64 // bytes before a connection breaks; 0 = never
	asked int
}

func (s *server) Get(_ context.Context, path string, from int64) (io.ReadCloser, error) {
	s.asked++
	b, ok := s.files[path]
	if !ok {
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	r := io.Reader(bytes.NewReader(b[from:]))
	if s.every > 0 && int64(len(b))-from > s.every {
		r = io.MultiReader(io.LimitReader(r, s.every), broken{})
	}
	return io.NopCloser(r), nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("connection reset by peer") }

func networkOf(v *redeploytest.Vendor, s *server) redeploy.Source {
	return redeploy.NetworkOf(v.Root.Product, release.HardwarePC, func(context.Context) (redeploy.Server, error) { return s, nil })
}

func TestNetwork(t *testing.T) {
	m, v := ruined(t)
	r := v.Release(9, 2, nil)
	path, err := source.BundlePath(r.Signed)
	require.NoError(t, err)
	s := &server{files: folder{source.LatestPath(v.Root.Product, release.HardwarePC): r.Signed, path: v.Bundle(r)}, every: 20000}
	d := redeploy.Deployer{Register: m.Register(v)}
	s.every = 20000
	done, err := d.From(context.Background(), networkOf(v, s), false)
	require.NoError(t, err)
	require.Equal(t, uint64(9), done.Release.Version)
	require.Greater(t, s.asked, 3, "it went on where the line broke")

	s.every = 1
	s.files[path] = s.files[path][:layout.HeadSize+100]
	_, err = d.From(context.Background(), networkOf(v, s), true)
	require.Error(t, err, "a server that never sends the rest does not hold the register for ever")

	s.every = 0
	s.files[source.LatestPath(v.Root.Product, release.HardwarePC)] = make([]byte, release.MaxNote+1)
	_, err = d.From(context.Background(), networkOf(v, s), true)
	require.ErrorContains(t, err, "more than")
	delete(s.files, source.LatestPath(v.Root.Product, release.HardwarePC))
	_, err = d.From(context.Background(), networkOf(v, s), true)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// TestPowerCuts cuts the power before every sector of a redeploy with a factory
// partition to renew, sectors of a request in both orders. What is left is read by the
// code that boots: either nothing boots, and redeploying again brings the register
// back, or a release boots that is whole from its first block to its last.
func TestPowerCuts(t *testing.T) {
	cuts, outcomes := 0, map[string]int{}
	for _, reverse := range []bool{false, true} {
		m, v := ruined(t)
		spoil(m, 3, 4096)
		bundle := folder{"a.choba": v.Bundle(v.Release(9, 2, nil))}
		ready := m.Disk.Clone()
		for left := 0; ; left++ {
			m.Disk = ready.Clone()
			m.Disk.Left, m.Disk.Reverse = left, reverse
			d := redeploy.Deployer{Register: m.Register(v)}
			done, err := d.From(context.Background(), stickOf(v, bundle), false)
			if err == nil && done.RenewProblem == nil && m.Disk.Left > 0 {
				break // it had power enough to the end
			}
			cuts++
			m.Disk.Left, m.Disk.Reverse = -1, false
			n, r := boots(t, m, v)
			if n != "" {
				require.Equal(t, uint64(9), r.Version, "cut after %d sectors", left)
				require.Equal(t, slot.Trial, m.Record().Slot(n).State)
				outcomes["boots the new release"]++
				continue
			}
			require.True(t, err == nil || errors.Is(err, frametest.ErrPower), "%v", err)
			again := redeploy.Deployer{Register: m.Register(v)}
			_, err = again.From(context.Background(), stickOf(v, bundle), false)
			require.NoError(t, err, "cut after %d sectors", left)
			outcomes["recovery again"]++
		}
	}
	require.Greater(t, cuts, 1000)
	require.NotZero(t, outcomes["boots the new release"])
	t.Logf("%d cut points: %v", cuts, outcomes)
}

// FuzzStick: whatever files a stick has, nothing panics, and nothing is written unless the vendor signed it.
func FuzzStick(f *testing.F) {
	v, m := redeploytest.NewVendor(f, "prod"), redeploytest.NewMachine(f)
	m.Store(slot.Record{})
	r := v.Release(9, 2, nil)
	whole := v.Bundle(r)
	f.Add(whole[:layout.HeadSize], r.Signed)
	f.Add(whole, []byte("choba release 1\n"))
	f.Add([]byte(nil), r.Signed)
	f.Fuzz(func(t *testing.T, bundle, latest []byte) {
		before := bytes.Clone(m.Disk.Data)
		d := redeploy.Deployer{Register: m.Register(v)}
		_, err := d.From(context.Background(), stickOf(v, folder{"a.choba": bundle, source.LatestPath(v.Root.Product, release.HardwarePC): latest}), true)
		if err != nil && !bytes.Equal(bundle[:min(len(bundle), layout.HeadSize)], whole[:layout.HeadSize]) {
			require.True(t, bytes.Equal(before, m.Disk.Data))
		}
		copy(m.Disk.Data, before)
	})
}
