package data

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/keys/escrow"
	"github.com/choba-os/choba/keys/seal"
)

// used is a register in use, its disk, and the code that its vendor has in escrow.
func (m *machine) used() (*bench, escrow.Code) {
	b := m.give(newBench(), m.fresh)
	m.on(b, "image")
	_, err := b.boot()
	require.NoError(m.t, err)
	block, _, err := escrow.Load(medium{b, "state", b.state})
	require.NoError(m.t, err)
	letter, err := escrow.OpenLetter(block.Vendor(), m.rescue)
	require.NoError(m.t, err)
	return b, letter.Code
}

// shut boots under this Secure Boot state and wants the key shut, the partition unmounted and nothing written.
func (m *machine) shut(b *bench, secureBoot string, want error) {
	m.t.Helper()
	m.onWith(b, "image", secureBoot)
	b.log = nil
	_, err := b.boot()
	require.ErrorIs(m.t, err, want)
	require.Empty(m.t, b.log)
	require.False(m.t, b.mounted)
}

func (m *machine) opens(b *bench, secureBoot, what string) {
	m.t.Helper()
	m.onWith(b, "image", secureBoot)
	_, err := b.boot()
	require.NoError(m.t, err, what)
	require.True(m.t, b.mounted, what)
}

// The whole disk of last month, put back into its own register: what the disk says is true, and a release from below
// the floor that the TPM keeps does not open it all the same (A51). A release that is still allowed does: that the
// sales are last month's is the journal's to tell.
func TestOlderSnapshotOfTheDisk(t *testing.T) {
	m := newMachine(t)
	b, _ := m.used() // version 7
	state, disk := bytes.Clone(b.state), bytes.Clone(b.disk)

	b.by = m.approve(9)
	m.opens(b, "on", "version 9")
	secret, ok := b.last.OwnerSecret()
	require.True(t, ok)
	require.NoError(t, seal.New(b.chip).RaiseFloor(8, secret)) // 8 and 9 are kept

	b.state, b.disk = state, disk
	b.by = m.approve(7)
	m.shut(b, "on", seal.ErrFloor)
	b.by = m.approve(8)
	m.opens(b, "on", "the lower of the two kept versions")
}

// Half a disk out of another register of the same shop: neither part opens with the other, and neither is taken for a
// new one.
func TestPartsOfAnotherRegister(t *testing.T) {
	m := newMachine(t)
	b, _ := m.used()
	other := m.give(newBench(), nil)
	other.boots = 60
	m.on(other, "image")
	_, err := other.boot()
	require.NoError(t, err)

	state, disk := b.state, b.disk
	b.disk = other.disk
	m.shut(b, "on", ErrKey)
	b.state, b.disk = other.state, disk
	m.shut(b, "on", seal.ErrOtherTPM)
	b.state = state
	m.opens(b, "on", "its own parts again")
}

// A change of the firmware's keys (db, dbx) changes PCR 7, and Choba has foretold none: the data stays shut and whole.
// When the firmware measures as before, it opens again; where the change is to stay, the recovery code binds the key to
// it, once.
func TestFirmwareKeysChange(t *testing.T) {
	m := newMachine(t)
	b, code := m.used()
	for range 3 {
		m.shut(b, "on, dbx of May", seal.ErrSecureBoot)
	}
	m.opens(b, "on", "the firmware measures as before")

	m.onWith(b, "image", "on, dbx of May")
	require.NoError(t, escrow.Rebind{State: medium{b, "state", b.state}, TPM: seal.New(b.chip), Policy: m.pkix, Floor: 5, Now: day}.Do(code))
	for range 3 {
		m.opens(b, "on, dbx of May", "bound once, it stays so")
	}
	times, _ := b.last.Rebound()
	require.EqualValues(t, 1, times)
	require.NoError(t, b.last.Heal()) // what a register does when it is ready
	m.shut(b, "on", seal.ErrSecureBoot)
}
