package data

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/keys/escrow"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/keys/seal/sealtest"
)

// A machine is the bench with a real TPM (swtpm), a vendor and his recovery identity.
type machine struct {
	t      *testing.T
	vendor *ecdsa.PrivateKey
	pkix   []byte
	rescue *age.X25519Identity
	fresh  sealtest.Memory // of a TPM that nobody ever used
}

var chipRoot = strings.Repeat("1a", 32)

func newMachine(t *testing.T) *machine {
	if !sealtest.Available() {
		t.Skip("no swtpm installed")
	}
	m := &machine{t: t}
	var err error
	m.vendor, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	m.pkix, err = x509.MarshalPKIXPublicKey(&m.vendor.PublicKey)
	require.NoError(t, err)
	m.rescue, err = age.GenerateX25519Identity()
	require.NoError(t, err)
	c := sealtest.New(t.TempDir())
	require.NoError(t, c.PowerOn())
	m.fresh, err = c.Memory()
	require.NoError(t, err)
	c.Off()
	return m
}

func (m *machine) approve(version uint64) seal.Approval {
	sig, err := seal.SignPolicy(m.vendor, seal.ApprovedPolicy(chipRoot, version))
	require.NoError(m.t, err)
	return seal.Approval{Key: m.pkix, RootHash: chipRoot, Version: version, Signature: sig}
}

// give puts a TPM with this memory into the bench.
func (m *machine) give(b *bench, memory sealtest.Memory) *bench {
	b.escrow, b.by = m.rescue.Recipient().String(), m.approve(7)
	b.chip = sealtest.New(m.t.TempDir())
	require.NoError(m.t, memory.Write(b.chip.State))
	m.t.Cleanup(b.chip.Off)
	return b
}

// on plays a boot up to init.
func (m *machine) on(b *bench, image string) { m.onWith(b, image, "on") }

// onWith is on with the Secure Boot state that the firmware measures.
func (m *machine) onWith(b *bench, image, secureBoot string) {
	b.chip.Off()
	require.NoError(m.t, b.chip.PowerOn())
	require.NoError(m.t, b.chip.Extend(4, sha256.Sum256([]byte(image))))
	require.NoError(m.t, b.chip.Extend(7, sha256.Sum256([]byte(secureBoot))))
	require.NoError(m.t, seal.New(b.chip).Measure(seal.System(chipRoot)))
	b.chip.Log = nil
}

// record has each command of the TPM stand in the log, with what the TPM keeps after it.
func (m *machine) record(b *bench) {
	b.log = nil
	b.chip.After = func() {
		memory, err := b.chip.Memory()
		require.NoError(m.t, err)
		b.log = append(b.log, write{disk: "tpm", tpm: memory})
	}
}

// good wants what a register must have after every boot.
func (m *machine) good(b *bench, v *vol, what string) {
	t := m.t
	t.Helper()
	require.True(t, b.mounted, what)
	require.Nil(t, b.last.storeMade, what)
	first := make([]byte, sector)
	_, err := v.dev.ReadAt(first, 0)
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(first, fsMagic), what)

	secret, ok := b.last.OwnerSecret()
	require.True(t, ok)
	tpm := seal.New(b.chip)
	floor, err := tpm.Floor()
	require.NoError(t, err, what)
	require.Zero(t, floor)
	require.NoError(t, tpm.Own(secret, 0), "%s: the TPM is this key's", what)
	require.ErrorIs(t, tpm.Prepare(0), seal.ErrOwned, what)

	block, whole, err := escrow.Load(medium{b, "state", b.state})
	require.NoError(t, err, what)
	require.True(t, whole, what)
	letter, err := escrow.OpenLetter(block.Vendor(), m.rescue)
	require.NoError(t, err)
	kept, err := block.Open(letter.Code)
	require.NoError(t, err)
	require.Equal(t, secret, kept.Owner(), "%s: the key in escrow is the disk's", what)
	b.last.Forget()
	require.Zero(t, b.last.owner)
}

// cuts replays every prefix of the log, clean, torn and with a write lost, boots, and boots once more.
func (m *machine) cuts(start *bench, log []write, memory sealtest.Memory, first string) {
	t, commands, cuts := m.t, 0, 0
	for n := range len(log) + 1 {
		hows := []string{"clean"}
		if n > 0 && log[n-1].data != nil {
			hows = []string{"clean", "torn", "sector", "lost"}
		}
		if n > 0 && log[n-1].tpm != nil {
			memory = log[n-1].tpm
			commands++
		}
		for _, how := range hows {
			b := m.give(replayOnto(start, log[:n], how), memory)
			for _, boot := range []string{first, "once more"} {
				m.on(b, "image")
				v, err := b.boot()
				require.NoError(t, err, "cut after %d (%s), %s", n, how, boot)
				m.good(b, v, boot)
			}
			b.chip.Off()
			cuts++
		}
	}
	t.Logf("%d cuts: %d TPM commands, %d writes and syncs, with their torn and lost forms", cuts, commands, len(log)-commands)
}

func replayOnto(start *bench, log []write, how string) *bench {
	b := replay(nil, "")
	copy(b.state, start.state)
	copy(b.disk, start.disk)
	b.play(log, how)
	return b
}

// TestFirstBootEveryCutWithTPM: each TPM command and each write of a first boot is a point at which the power goes.
func TestFirstBootEveryCutWithTPM(t *testing.T) {
	m := newMachine(t)
	b := m.give(newBench(), m.fresh)
	m.on(b, "image")
	m.record(b)
	_, err := b.boot()
	require.NoError(t, err)
	require.Equal(t, First, b.last.Opened())
	b.chip.After = nil
	m.cuts(newBench(), b.log, m.fresh, "the boot after the cut")
}

// older is a disk and its TPM as releases before the floor left them.
func (m *machine) older() (*bench, sealtest.Memory) {
	t := m.t
	b := m.give(newBench(), m.fresh)
	m.on(b, "image")
	v, err := b.boot()
	require.NoError(t, err)
	secret, _ := b.last.OwnerSecret()
	m.good(b, v, "new")
	by := tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(secret[:])}
	index, err := tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(0x0180C0BA)}.Execute(b.chip)
	require.NoError(t, err)
	_, err = tpm2.NVUndefineSpace{AuthHandle: by, NVIndex: tpm2.NamedHandle{Handle: 0x0180C0BA, Name: index.NVName}}.Execute(b.chip)
	require.NoError(t, err)
	storage, err := tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(0x81000001)}.Execute(b.chip)
	require.NoError(t, err)
	_, err = tpm2.EvictControl{Auth: by, ObjectHandle: tpm2.NamedHandle{Handle: 0x81000001, Name: storage.Name}, PersistentHandle: 0x81000001}.Execute(b.chip)
	require.NoError(t, err)
	_, err = tpm2.HierarchyChangeAuth{AuthHandle: by}.Execute(b.chip)
	require.NoError(t, err)
	clear(b.state[layout.EscrowCopy1 : layout.EscrowCopy2+layout.EscrowSize])
	memory, err := b.chip.Memory()
	require.NoError(t, err)
	b.chip.Off()
	return b, memory
}

// TestOlderDiskEveryCutWithTPM: a disk from before there were floor, owner and escrow gets them at its next boot.
func TestOlderDiskEveryCutWithTPM(t *testing.T) {
	m := newMachine(t)
	start, memory := m.older()
	b := m.give(replayOnto(start, nil, ""), memory)
	m.on(b, "image")
	m.record(b)
	v, err := b.boot()
	require.NoError(t, err)
	require.Equal(t, Newest, b.last.Opened())
	b.chip.After = nil
	log := b.log
	m.good(b, v, "upgraded")
	m.cuts(start, log, memory, "the boot after the cut")
}

// TestCommandsOfABoot counts what Unlock asks of the TPM at an ordinary boot.
func TestCommandsOfABoot(t *testing.T) {
	m := newMachine(t)
	b := m.give(newBench(), m.fresh)
	m.on(b, "image")
	_, err := b.boot()
	require.NoError(t, err)
	t.Logf("first boot: %d TPM commands", len(b.chip.Log))
	m.on(b, "image")
	b.log, b.say = nil, nil
	_, err = b.boot()
	require.NoError(t, err)
	require.Empty(t, b.log, "nothing is written")
	require.Empty(t, b.say)
	t.Logf("later boot: %d TPM commands, the closing of the door among them", len(b.chip.Log))
	require.LessOrEqual(t, len(b.chip.Log), 16)
}

// TestOtherTPMs: a disk does not open in another board, nor after the TPM was cleared, nor on a TPM that is another
// register's; and a first boot does not begin on one either. Nothing is written.
func TestOtherTPMs(t *testing.T) {
	m := newMachine(t)
	b := m.give(newBench(), m.fresh)
	m.on(b, "image")
	_, err := b.boot()
	require.NoError(t, err)
	refused := func(b *bench, want ...error) {
		t.Helper()
		m.on(b, "image")
		b.log = nil
		_, err := b.boot()
		for _, w := range want {
			require.ErrorIs(t, err, w)
		}
		require.Empty(t, b.log)
		require.False(t, b.mounted)
	}
	memory, err := b.chip.Memory()
	require.NoError(t, err)
	refused(m.give(newBench(), memory), seal.ErrOwned) // flashed anew, TPM not cleared

	other := m.give(newBench(), nil)
	m.on(other, "image")
	other.state, other.disk = bytes.Clone(b.state), bytes.Clone(b.disk)
	refused(other, seal.ErrOtherTPM, seal.ErrNobody)

	require.NoError(t, seal.New(b.chip).Clear())
	refused(b, seal.ErrOtherTPM, seal.ErrNobody)
}

// TestReboundAtABoot: after a board was changed and the code was typed, the register boots, says so, and has a new code.
func TestReboundAtABoot(t *testing.T) {
	m := newMachine(t)
	b := m.give(newBench(), m.fresh)
	m.on(b, "image")
	_, err := b.boot()
	require.NoError(t, err)
	block, _, err := escrow.Load(medium{b, "state", b.state})
	require.NoError(t, err)
	letter, err := escrow.OpenLetter(block.Vendor(), m.rescue)
	require.NoError(t, err)

	board := m.give(newBench(), nil)
	board.state, board.disk, board.boots = b.state, b.disk, 50
	for round := range uint32(2) {
		m.on(board, "image")
		require.NoError(t, escrow.Rebind{State: medium{board, "state", board.state}, TPM: seal.New(board.chip), Policy: m.pkix, Floor: 5, Now: day}.Do(letter.Code))
		m.on(board, "image")
		_, err = board.boot()
		require.NoError(t, err)
		times, last := board.last.Rebound()
		require.Equal(t, round+1, times)
		require.True(t, day.Equal(last))
		floor, err := seal.New(board.chip).Floor()
		require.NoError(t, err)
		require.EqualValues(t, 5, floor)

		next, _, err := escrow.Load(medium{board, "state", board.state})
		require.NoError(t, err)
		require.Zero(t, next.Used)
		_, err = next.Open(letter.Code)
		require.ErrorIs(t, err, escrow.ErrOpen, "the used code is worth nothing any more")
		require.False(t, errors.Is(err, escrow.ErrCode))
		letter, err = escrow.OpenLetter(next.Vendor(), m.rescue)
		require.NoError(t, err)
		block = next
	}
}
