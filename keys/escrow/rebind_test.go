package escrow

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/frame/frametest"
	"github.com/choba-os/choba/keys/datakey"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/keys/seal/sealtest"
)

var (
	root = strings.Repeat("1a", 32)
	day  = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
)

// register is a disk's state partition and a software TPM.
type register struct {
	t      *testing.T
	chip   *sealtest.Chip
	state  *frametest.Disk
	vendor *ecdsa.PrivateKey
	pkix   []byte
	code   Code
}

// newRegister is one in service: the key sealed by a TPM of its own, and in escrow.
func newRegister(t *testing.T) *register {
	if !sealtest.Available() {
		t.Skip("no swtpm installed")
	}
	r := &register{t: t, state: frametest.New(stateSize)}
	var err error
	r.vendor, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	r.pkix, err = x509.MarshalPKIXPublicKey(&r.vendor.PublicKey)
	require.NoError(t, err)
	r.swap(nil)
	tpm := r.boot("image")
	require.NoError(t, tpm.Prepare(0))
	at, err := tpm.Boot()
	require.NoError(t, err)
	blob, err := tpm.Seal(testSecret().Encode(), r.pkix, at)
	require.NoError(t, err)
	require.NoError(t, seal.Save(r.state, blob))
	require.NoError(t, tpm.Own(testSecret().Owner(), 3))
	var b Block
	b, r.code, _ = testBlock(t)
	require.NoError(t, Store(r.state, b))
	return r
}

// swap puts a board with this TPM in.
func (r *register) swap(memory sealtest.Memory) {
	if r.chip != nil {
		r.chip.Off()
	}
	r.chip = sealtest.New(r.t.TempDir())
	require.NoError(r.t, memory.Write(r.chip.State))
	r.t.Cleanup(r.chip.Off)
}

func (r *register) boot(image string, events ...seal.Event) *seal.TPM {
	r.chip.Off()
	require.NoError(r.t, r.chip.PowerOn())
	require.NoError(r.t, r.chip.Extend(4, sha256.Sum256([]byte(image))))
	require.NoError(r.t, r.chip.Extend(7, sha256.Sum256([]byte("on"))))
	tpm := seal.New(r.chip)
	for _, e := range events {
		require.NoError(r.t, tpm.Measure(e))
	}
	return tpm
}

// rebind is what recovery does: it never unseals, for its PCR 13 says recovery.
func (r *register) rebind(image string) error {
	tpm := r.boot(image, seal.Recovery())
	r.chip.Log = nil
	return Rebind{State: r.state, TPM: tpm, Policy: r.pkix, Floor: 5, Now: day}.Do(r.code)
}

// opens boots the system and opens the newest key.
func (r *register) opens(image string) (datakey.Secret, error) {
	tpm := r.boot(image, seal.System(root))
	sig, err := seal.SignPolicy(r.vendor, seal.ApprovedPolicy(root, 7))
	require.NoError(r.t, err)
	stored, err := seal.Load(r.state)
	require.NoError(r.t, err)
	text, err := tpm.Unseal(stored.Blobs[0], seal.Approval{Key: r.pkix, RootHash: root, Version: 7, Signature: sig})
	if err != nil {
		return datakey.Secret{}, err
	}
	return datakey.Parse(text)
}

func (r *register) rebound(image string, times uint32) {
	r.t.Helper()
	s, err := r.opens(image)
	require.NoError(r.t, err)
	want := testSecret()
	want.Rebound, want.Last = times, day.Unix()
	require.Equal(r.t, want, s, "the key, and that it was taken out of escrow")
	tpm := seal.New(r.chip)
	require.NoError(r.t, tpm.Own(s.Owner(), 0))
	floor, err := tpm.Floor()
	require.NoError(r.t, err)
	require.EqualValues(r.t, 5, floor)
	b, _, err := Load(r.state)
	require.NoError(r.t, err)
	require.Equal(r.t, times, b.Used)
	require.Equal(r.t, day.Unix(), b.Last)
}

func TestRebindToANewBoard(t *testing.T) {
	r := newRegister(t)
	r.swap(nil)
	_, err := r.opens("image")
	require.ErrorIs(t, err, seal.ErrOtherTPM)
	require.NoError(t, r.rebind("image"))
	r.rebound("image", 1)
	require.NoError(t, r.rebind("image"))
	r.rebound("image", 2)
}

// Whoever writes the disk cannot hide that the code was taken: no number there makes the one under the seal 0.
func TestRebindIsSeenWhateverTheDiskSays(t *testing.T) {
	r := newRegister(t)
	b, _, err := Load(r.state)
	require.NoError(t, err)
	b.Used = math.MaxUint32
	require.NoError(t, Store(r.state, b))
	require.NoError(t, r.rebind("image"))
	r.rebound("image", math.MaxUint32)
}

func TestRebindAfterClear(t *testing.T) {
	r := newRegister(t)
	require.NoError(t, r.boot("image").Clear())
	_, err := r.opens("image")
	require.ErrorIs(t, err, seal.ErrNobody)
	require.NoError(t, r.rebind("image"))
	r.rebound("image", 1)
}

// The same TPM, another boot image or firmware setting.
func TestRebindToAnotherBootState(t *testing.T) {
	r := newRegister(t)
	_, err := r.opens("other image")
	require.ErrorIs(t, err, seal.ErrBootImage)
	require.NoError(t, r.rebind("other image"))
	r.rebound("other image", 1)
}

// Refused, and nothing is written: a TPM that is another register's, and a wrong code.
func TestRebindRefuses(t *testing.T) {
	r := newRegister(t)
	other := newRegister(t)
	require.NoError(t, other.boot("image").Clear())
	require.NoError(t, seal.New(other.chip).Own(seal.Owner([]byte("another register's key")), 1))
	memory, err := other.chip.Memory()
	require.NoError(t, err)
	r.swap(memory)
	before := r.state.Clone()
	require.ErrorIs(t, r.rebind("image"), seal.ErrOwned)
	require.Equal(t, before.Data, r.state.Data)

	r.swap(nil)
	r.code[3] ^= 1
	require.ErrorIs(t, r.rebind("image"), ErrOpen)
	require.Empty(t, r.chip.Log)
	require.Equal(t, before.Data, r.state.Data)

	r.state = frametest.New(stateSize)
	require.ErrorIs(t, r.rebind("image"), ErrNone)
}

// TestRebindEveryCut: the power goes before each TPM command and in each sector; the code is typed again, or the key
// opens already. The use is marked in every case in which it had any effect.
func TestRebindEveryCut(t *testing.T) {
	r := newRegister(t)
	base := r.state.Clone()
	r.swap(nil)
	require.NoError(t, r.chip.PowerOn())
	fresh, err := r.chip.Memory()
	require.NoError(t, err)
	require.NoError(t, r.rebind("image"))
	commands := len(r.chip.Log)
	cut := func(setLeft func(tpm *sealtest.Chip, d *frametest.Disk), n int) {
		r.swap(fresh)
		r.state = base.Clone()
		tpm := r.boot("image", seal.Recovery())
		setLeft(r.chip, r.state)
		_ = Rebind{State: r.state, TPM: tpm, Policy: r.pkix, Floor: 5, Now: day}.Do(r.code)
		r.state.Left = -1
		if s, err := r.opens("image"); err == nil {
			require.EqualValues(t, 1, s.Rebound, "cut %d: marked", n)
			floor, err := seal.New(r.chip).Floor()
			require.NoError(t, err)
			require.EqualValues(t, 5, floor, "cut %d", n)
		}
		require.NoError(t, r.rebind("image"), "cut %d: typed again", n)
		s, err := r.opens("image")
		require.NoError(t, err, "cut %d", n)
		require.Equal(t, testSecret().Key, s.Key)
		require.GreaterOrEqual(t, s.Rebound, uint32(1))
	}
	for n := range commands + 1 {
		cut(func(c *sealtest.Chip, _ *frametest.Disk) { c.Left = n }, n)
	}
	sectors := (8192 + 4096) / 512
	for n := range sectors + 2 {
		for _, reverse := range []bool{false, true} {
			cut(func(_ *sealtest.Chip, d *frametest.Disk) { d.Left, d.Reverse = n, reverse }, n)
		}
	}
	t.Logf("%d cuts: %d TPM commands, %d sectors in either order", commands+1+2*(sectors+2), commands, sectors)
}
