package offer

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/choba-os/choba/drivers/dm"
	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/frame/frametest"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/image/verity"
	"github.com/choba-os/choba/init/offer/petest"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/keys/trust"
)

const (
	repository = "../.."
	slotSize   = layout.MiB
	blocks     = 16
	recipient  = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p" // the example of age's README
)

// vendor signs releases for one trust list.
type vendor struct {
	root    trust.Root
	signers []note.Signer
	pcr     *ecdsa.PrivateKey
}

func newVendor(t *testing.T, name string) *vendor {
	v, list := &vendor{}, trust.List{Product: "choba-test", Threshold: 2, ServiceThreshold: 1, Escrow: recipient}
	key := func(name string) (note.Signer, string) {
		private, public, err := note.GenerateKey(rand.Reader, name)
		require.NoError(t, err)
		s, err := note.NewSigner(private)
		require.NoError(t, err)
		return s, public
	}
	for i := range 2 {
		s, public := key(fmt.Sprintf("%s-release%d", name, i))
		v.signers, list.Release = append(v.signers, s), append(list.Release, public)
	}
	_, list.Store = key(name + "-store")
	_, service := key(name + "-service")
	list.Service = []string{service}
	var err error
	v.pcr, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	list.PCR, err = x509.MarshalPKIXPublicKey(&v.pcr.PublicKey)
	require.NoError(t, err)
	text, err := list.Encode()
	require.NoError(t, err)
	v.root, err = trust.Parse(text)
	require.NoError(t, err)
	return v
}

// shelf is a register with version 7 running from slot a and a new release in slot b, as the kernel would show it.
type shelf struct {
	t      *testing.T
	vendor *vendor
	reg    Register
	disk   *frametest.Disk
	files  map[string][]byte
	kernel error
	closed int
	unread error // of the disk
}

func (s *shelf) ReadAt(b []byte, at int64) (int, error) {
	if s.unread != nil && at > 0 && at < layout.HeadOffset(slotSize) {
		return 0, s.unread
	}
	return s.disk.ReadAt(b, at)
}

func (s *shelf) ReadFile(path string, most int64) ([]byte, error) {
	text, ok := s.files[path]
	if !ok {
		return nil, os.ErrNotExist
	}
	if int64(len(text)) > most {
		return nil, errors.New("too long")
	}
	return text, nil
}
func (s *shelf) Close() error { s.closed++; return nil }

func newShelf(t *testing.T) *shelf {
	running := petest.Signed(t, repository, 1, 4096, "one", "two")
	s := &shelf{t: t, vendor: newVendor(t, "v"), disk: frametest.New(slotSize)}
	s.reg = Register{Root: s.vendor.root, Hardware: release.HardwarePC, Slot: slot.B, Floor: 6,
		Running: release.Release{Manifest: release.Manifest{Version: 7, Boot: release.Sum(running)}},
		Record:  slot.Record{Preferred: slot.A, A: slot.Slot{State: slot.Good, Version: 7, Manifest: slot.Manifest{7}}},
		Boot:    func() ([]byte, error) { return running, nil },
		Free:    func() (int64, error) { return 1 << 30, nil },
	}
	next := petest.Signed(t, repository, 2, 4096, "one", "two")
	s.files = map[string][]byte{BootPath: next, IDPath: []byte(strings.Repeat("0a", 32) + "\n")}
	return s
}

// install writes version into the idle slot, changed by change before it is signed.
func (s *shelf) install(version uint64, change func(*release.Manifest)) {
	t := s.t
	content := bytes.Repeat([]byte(fmt.Sprintf("version %-8d", version)), blocks*verity.BlockSize/16)
	salt := bytes.Repeat([]byte{0x5a}, verity.MaxSalt)
	tree, root, err := verity.Build(bytes.NewReader(content), blocks, salt)
	require.NoError(t, err)
	signature, err := seal.SignPolicy(s.vendor.pcr, seal.ApprovedPolicy(root.String(), version))
	require.NoError(t, err)
	m := release.Manifest{Product: s.vendor.root.Product, Version: version, Name: "v", Schema: DataSchema, Hardware: []string{release.HardwarePC},
		EROFS: release.Sum(content), Tree: release.Sum(tree), Boot: release.Sum(s.files[BootPath]), SBOM: release.Sum([]byte("sbom")),
		Verity:        verity.Params{Root: root, Salt: salt, Blocks: blocks, HashStart: blocks},
		RootSignature: []byte("signature"), PCR13Signature: signature}
	if change != nil {
		change(&m)
	}
	signed, err := release.Sign(m, s.vendor.signers...)
	require.NoError(t, err)
	require.NoError(t, release.WriteSlot(s.disk, slotSize, m, signed, bytes.NewReader(content), bytes.NewReader(tree)))
}

func (s *shelf) check(ctx context.Context, anew bool) (release.Release, error) {
	return Check(ctx, s.reg, Idle{Device: s, Size: slotSize, Open: func(release.Release) (Volume, error) { return s, s.kernel }}, anew)
}

func TestGoodOffer(t *testing.T) {
	s := newShelf(t)
	s.install(8, nil)
	r, err := s.check(t.Context(), false)
	require.NoError(t, err)
	require.EqualValues(t, 8, r.Version)
	require.Equal(t, 1, s.closed)
}

// Whatever the next boot would refuse is refused now, with the reason (A50).
func TestRefusedOffers(t *testing.T) {
	for _, row := range []struct {
		name   string
		do     func(s *shelf)
		change func(m *release.Manifest)
		want   error
		words  string
	}{
		{name: "older than running", do: func(s *shelf) { s.reg.Running.Version = 8 }, want: ErrNotNewer},
		{name: "below the floor", do: func(s *shelf) { s.reg.Floor = 9 }, want: release.ErrFloor},
		{name: "another product", change: func(m *release.Manifest) { m.Product = "toaster" }, want: release.ErrProduct},
		{name: "other hardware", change: func(m *release.Manifest) { m.Hardware = []string{"abacus"} }, want: release.ErrHardware},
		{name: "wrong vendor", do: func(s *shelf) { s.reg.Root = newVendor(s.t, "w").root }, want: trust.ErrStranger},
		{name: "schema", change: func(m *release.Manifest) { m.Schema = DataSchema + 1 }, want: ErrSchema},
		{name: "policy signed for another version", change: func(m *release.Manifest) { m.Version = 9 }, want: seal.ErrSignature},
		{name: "no room", do: func(s *shelf) { s.reg.Free = func() (int64, error) { return NeedFree - 1, nil } }, want: ErrSpace},
		{name: "not cleared first", do: func(s *shelf) {
			s.reg.Record.B = slot.Slot{State: slot.Good, Version: 6, Manifest: slot.Manifest{6}}
		}, want: slot.ErrState},
		{name: "root hash signed by a stranger", do: func(s *shelf) { s.kernel = dm.ErrStranger }, want: dm.ErrStranger},
		{name: "no boot id", do: func(s *shelf) { delete(s.files, IDPath) }, want: os.ErrNotExist},
		{name: "bad boot id", do: func(s *shelf) { s.files[IDPath] = []byte("x\n") }, words: "is not 64 hex digits"},
		{name: "boot image altered", change: func(m *release.Manifest) { m.Boot.SHA256[0] ^= 1 }, want: release.ErrAltered},
		{name: "boot image signed in the wrong order", do: func(s *shelf) {
			s.files[BootPath] = petest.Signed(s.t, repository, 2, 4096, "two", "one")
		}, want: ErrBootImage, words: "must have signed first"},
		{name: "boot image signed for kexec only", do: func(s *shelf) {
			s.files[BootPath] = petest.Signed(s.t, repository, 2, 4096, "one")
		}, want: ErrBootImage},
		{name: "boot image by a stranger", do: func(s *shelf) {
			s.files[BootPath] = petest.Signed(s.t, repository, 2, 4096, "three", "two")
		}, want: ErrBootImage},
		{name: "running boot image unreadable", do: func(s *shelf) {
			s.reg.Boot = func() ([]byte, error) { return nil, os.ErrPermission }
		}, want: ErrRegister},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newShelf(t)
			if row.do != nil {
				row.do(s)
			}
			s.install(8, row.change)
			_, err := s.check(t.Context(), false)
			require.Error(t, err)
			if row.want != nil {
				require.ErrorIs(t, err, row.want)
			}
			require.ErrorContains(t, err, row.words)
		})
	}
}

// A failed release, or one that is no newer, comes in only when a person wants it; below the floor not even then.
func TestAnew(t *testing.T) {
	s := newShelf(t)
	s.install(7, nil)
	_, err := s.check(t.Context(), false)
	require.ErrorIs(t, err, ErrNotNewer)
	r, err := s.check(t.Context(), true)
	require.NoError(t, err)
	s.install(8, nil)
	r, err = s.check(t.Context(), true)
	require.NoError(t, err)
	s.reg.Record.Failed = []slot.Failure{{Version: 8, Manifest: r.ID}}
	_, err = s.check(t.Context(), false)
	require.ErrorIs(t, err, slot.ErrFailedBefore)
	_, err = s.check(t.Context(), true)
	require.NoError(t, err)
	s.reg.Floor = 9
	_, err = s.check(t.Context(), true)
	require.ErrorIs(t, err, release.ErrFloor)
}

// The whole slot is read back: one bit anywhere is found, also in the tree and in the head.
func TestEveryBlockIsRead(t *testing.T) {
	s := newShelf(t)
	s.install(8, nil)
	for _, at := range []int64{0, 5 * verity.BlockSize, blocks*verity.BlockSize - 1, blocks * verity.BlockSize, layout.HeadOffset(slotSize) + 100} {
		s.disk.Data[at] ^= 1
		_, err := s.check(t.Context(), false)
		require.Error(t, err, at)
		require.True(t, errors.Is(err, verity.ErrCorrupt) || errors.Is(err, frame.ErrChecksum), err)
		s.disk.Data[at] ^= 1
	}
	s.unread = errors.New("input/output error")
	_, err := s.check(t.Context(), false)
	require.ErrorIs(t, err, ErrRegister, "the disk's fault is not the release's")
	s.unread = nil
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.check(ctx, false)
	require.ErrorIs(t, err, context.Canceled)
}

// Looked at, a bad block is an error and never the register's end.
func TestTableDoesNotPanic(t *testing.T) {
	got := table("/dev/vda4", verity.Params{Blocks: 1, HashStart: 1})
	require.NotContains(t, got, "panic")
	require.True(t, strings.HasSuffix(got, " - 2 root_hash_sig_key_desc "+dm.VerityKey), got)
}
