package data

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/keys/datakey"
	"github.com/choba-os/choba/keys/escrow"
	"github.com/choba-os/choba/keys/seal"
)

var day = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func at(image byte) seal.Boot { return seal.Boot{Image: seal.Digest{image}} }

// A change of the boot image: sealed ahead, cut at every write, and then either it happened or it did not. The register
// opens in both cases, also when the next change is tried on top of one that never happened.
func TestResealEveryCut(t *testing.T) {
	for _, before := range []string{"plain", "a change that never happened"} {
		base := made(t)
		if before != "plain" {
			next := at(9)
			base.next = &next
			_, err := base.boot()
			require.NoError(t, err)
			_, err = base.boot() // and the image stayed as it was: the older copy opens
			require.NoError(t, err)
			require.Equal(t, Older, base.last.Opened())
		}
		next := at(2)
		whole := copyOf(base)
		whole.next = &next
		_, err := whole.boot()
		require.NoError(t, err)
		require.NotEmpty(t, whole.log)
		for n := range len(whole.log) + 1 {
			for _, how := range []string{"clean", "torn", "sector", "lost"} {
				b := copyOf(base)
				b.play(whole.log[:n], how)
				_, err := copyOf(b).boot()
				require.NoError(t, err, "%s: cut after %d (%s): the present image", before, n, how)
				if n < len(whole.log) {
					continue
				}
				b.pcrs = next
				_, err = b.boot()
				require.NoError(t, err, "%s: the new image", before)
				require.Equal(t, Newest, b.last.Opened())
			}
		}
		b := whole
		b.next, b.pcrs = nil, next
		_, err = b.boot()
		require.NoError(t, err)
		b.log = nil
		require.NoError(t, b.last.Heal())
		require.NotEmpty(t, b.log)
		healed := len(b.log)
		require.NoError(t, b.last.Heal())
		require.Len(t, b.log, healed, "once")
		stored, err := seal.Load(medium{b, "state", b.state})
		require.NoError(t, err)
		require.Len(t, stored.Blobs, 1)
		require.True(t, stored.Whole)
		require.Equal(t, next, stored.Blobs[0].At)
		b.pcrs = seal.Boot{}
		b.refuses(t, nil, "the boot image is another")
	}
}

func copyOf(b *bench) *bench {
	c := *b
	c.state, c.disk, c.log, c.next = bytes.Clone(b.state), bytes.Clone(b.disk), nil, nil
	return &c
}

func TestResealRefuses(t *testing.T) {
	b := newBench()
	require.ErrorContains(t, New(Parts{}).Reseal(at(1)), "not finished")
	next := at(1)
	b.next = &next
	_, err := b.boot()
	require.ErrorContains(t, err, "not finished", "at a first boot")
	_, ok := New(Parts{}).OwnerSecret()
	require.False(t, ok)
	require.Empty(t, New(Parts{}).Opened())
	require.NoError(t, New(Parts{}).Heal())
}

// Heal also mends a copy that was damaged.
func TestHealDamage(t *testing.T) {
	for _, copy := range []int64{layout.SealedCopy1, layout.SealedCopy2} {
		b := made(t)
		b.state[copy+100] ^= 1
		_, err := b.boot()
		require.NoError(t, err)
		require.NoError(t, b.last.Heal())
		stored, err := seal.Load(medium{b, "state", b.state})
		require.NoError(t, err)
		require.True(t, stored.Whole)
	}
}

// Whatever becomes of the escrow, the register opens; and it has one afterwards.
func TestEscrowComesBack(t *testing.T) {
	load := func(b *bench) escrow.Block {
		block, whole, err := escrow.Load(medium{b, "state", b.state})
		require.NoError(t, err)
		require.True(t, whole)
		return block
	}
	for name, change := range map[string]func(b *bench){
		"gone": func(b *bench) {
			clear(b.state[layout.EscrowCopy1:][:layout.EscrowSize])
			clear(b.state[layout.EscrowCopy2:][:layout.EscrowSize])
		},
		"both damaged": func(b *bench) { b.state[layout.EscrowCopy1+70] ^= 1; b.state[layout.EscrowCopy2+70] ^= 1 },
		"one damaged":  func(b *bench) { b.state[layout.EscrowCopy2+70] ^= 1 },
		"other's": func(b *bench) {
			other := made(t)
			other.boots = 77
			block, _, err := escrow.Make(bytes.NewReader(make([]byte, 64)), datakey.Secret{Identity: [16]byte{9}}, b.escrow)
			require.NoError(t, err)
			require.NoError(t, escrow.Store(medium{b, "state", b.state}, block))
		},
		"other recipient": func(b *bench) { b.escrow = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa" },
	} {
		b := made(t)
		was := load(b)
		change(b)
		_, err := b.boot()
		require.NoError(t, err, name)
		require.Empty(t, b.last.Opened() == "", name)
		block := load(b)
		require.Equal(t, was.Identity, block.Identity, name)
		require.Equal(t, b.escrow, block.Recipient, name)
		require.Equal(t, name == "one damaged", bytes.Equal(was.Age, block.Age), name)
	}
	b := newBench()
	b.escrow = ""
	_, err := b.boot()
	require.NoError(t, err)
	require.Contains(t, b.say, "nobody keeps the data key in escrow: the trust list names no recipient")
}

// Without a TPM: only where the rules allow it, only from the first boot on, and sealed as soon as there is a TPM.
func TestWithoutTPM(t *testing.T) {
	b := newBench()
	b.withoutTPM = true
	b.refuses(t, ErrNoTPM, "do not let a register sell without one")
	b.mayLack = true
	_, err := b.boot()
	require.NoError(t, err)
	require.True(t, b.mounted)
	require.Equal(t, InOpen, b.last.Opened())
	require.NoError(t, b.last.Reseal(at(1)))
	require.NoError(t, b.last.Heal())
	_, ok := b.last.OwnerSecret()
	require.False(t, ok)
	stored, err := seal.Load(medium{b, "state", b.state})
	require.NoError(t, err)
	require.Len(t, stored.Clear, 82)
	b.log = nil
	_, err = b.boot()
	require.NoError(t, err)
	require.Empty(t, b.log)

	b.mayLack = false
	b.refuses(t, ErrNoTPM, "")
	b.withoutTPM = false
	b.refuses(t, ErrInOpen, "the vendor's rules do not allow that")
	b.mayLack = true
	taken := copyOf(b)
	taken.owner = &seal.OwnerSecret{9}
	taken.refuses(t, seal.ErrOwned, "", "a key put in the place of a sealed one")
	v, err := b.boot()
	require.NoError(t, err)
	b.requireGood(t, v)
	require.Contains(t, b.say, "there is a TPM now: the data key, which lay in the open until today, is sealed")
	b.withoutTPM = true
	b.refuses(t, ErrTPMGone, "sealed in a TPM")
	_, _, err = escrow.Load(medium{b, "state", b.state})
	require.NoError(t, err)
}

// The sealing of an open key, cut at every write: it opens at the next boot, sealed, and nothing open is left.
func TestSealingOfAnOpenKeyEveryCut(t *testing.T) {
	base := newBench()
	base.withoutTPM, base.mayLack = true, true
	whole := copyOf(base)
	_, err := whole.boot()
	require.NoError(t, err)
	for n := range len(whole.log) + 1 { // the first boot without a TPM
		for _, how := range []string{"clean", "torn", "sector", "lost"} {
			b := copyOf(base)
			b.play(whole.log[:n], how)
			_, err := b.boot()
			require.NoError(t, err, "cut after %d (%s)", n, how)
			require.True(t, b.mounted)
		}
	}
	base = copyOf(whole)
	base.withoutTPM = false
	require.True(t, bytes.Contains(base.state, []byte("CHOBA-CLEAR-1")))
	whole = copyOf(base)
	_, err = whole.boot()
	require.NoError(t, err)
	for n := range len(whole.log) + 1 {
		for _, how := range []string{"clean", "torn", "sector", "lost"} {
			b := copyOf(base)
			b.play(whole.log[:n], how)
			v, err := b.boot()
			require.NoError(t, err, "cut after %d (%s)", n, how)
			b.requireGood(t, v)
			require.False(t, bytes.Contains(b.state, []byte("CHOBA-CLEAR-1")), "cut after %d (%s)", n, how)
		}
	}
	t.Logf("%d writes and syncs", len(whole.log))
}

// A first boot whose escrow cannot be written goes on: selling is not stopped by it.
func TestOwnerFailing(t *testing.T) {
	b := made(t)
	b.owner = nil
	b.ownFails = errors.New("no memory")
	_, err := b.boot()
	require.NoError(t, err, "a register in use")
	require.Contains(t, b.say, "no memory")
	b = newBench()
	b.ownFails = errors.New("no memory")
	_, err = b.boot()
	require.ErrorContains(t, err, "making the data key: no memory")
}
