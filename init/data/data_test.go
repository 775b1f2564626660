package data

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/keys/datakey"
	"github.com/choba-os/choba/keys/seal"
)

func TestFirstBootAndLaterOnes(t *testing.T) {
	b := newBench()
	v, err := b.boot()
	require.NoError(t, err)
	b.requireGood(t, v)
	require.Contains(t, b.say, "first boot: making the data partition")

	// What a service wrote is there at the next boot, and nothing is written by opening.
	note := bytes.Repeat([]byte("sold"), sector/4)
	_, err = v.dev.WriteAt(note, 8*sector)
	require.NoError(t, err)
	b.say, b.log = nil, nil
	v, err = b.boot()
	require.NoError(t, err)
	b.requireGood(t, v)
	got := make([]byte, sector)
	_, err = v.dev.ReadAt(got, 8*sector)
	require.NoError(t, err)
	require.Equal(t, note, got)
	require.Empty(t, b.say)
	require.Empty(t, b.log)
	for i := range 2 { // both copies of the sealed key say that the partition was made
		at := []int64{layout.SealedCopy1, layout.SealedCopy2}[i]
		clearOther := *b
		clearOther.state = bytes.Clone(b.state)
		clear(clearOther.state[at : at+layout.SealedSize])
		require.Equal(t, datakey.Made, clearOther.stored(t).State)
	}
}

// Power is cut after each recorded write, within each write, and with each unsynced write missing: the next boot ends
// with a good partition, and once a service could have written, the partition is never made again.
func TestEveryPowerCutOfTheFirstBoot(t *testing.T) {
	whole := newBench()
	_, err := whole.boot()
	require.NoError(t, err)
	cuts := 0
	for n := range len(whole.log) + 1 {
		for _, how := range []string{"clean", "torn", "sector", "lost"} {
			b := replay(whole.log[:n], how)
			v, err := b.boot()
			require.NoError(t, err, "cut after write %d (%s)", n, how)
			b.requireGood(t, v)
			// And a second cut during the repair changes nothing.
			again := newBench()
			again.state, again.disk, again.boots = bytes.Clone(b.state), bytes.Clone(b.disk), 200
			v, err = again.boot()
			require.NoError(t, err)
			again.requireGood(t, v)
			cuts++
		}
	}
	t.Logf("%d cuts over %d writes and syncs", cuts, len(whole.log))
	require.Greater(t, cuts, 30)
}

// replay writes the log onto blank disks. Torn: of the last write only the first half arrives. Sector: only its first 512 bytes do. Lost: the
// last write before the cut that was not synced never arrives, the ones after it do.
func replay(log []write, how string) *bench {
	b := newBench()
	b.boots = 100
	b.play(log, how)
	return b
}

func (b *bench) play(log []write, how string) {
	skip := -1
	if how == "lost" {
		for i := len(log) - 1; i >= 0 && !log[i].sync(); i-- {
			if log[i].data != nil {
				skip = i
			}
		}
	}
	for i, w := range log {
		if w.data == nil || i == skip {
			continue
		}
		data := w.data
		if how == "torn" && i == len(log)-1 {
			data = data[:len(data)/2/512*512]
		}
		if how == "sector" && i == len(log)-1 {
			data = data[:min(len(data), 512)]
		}
		copy(map[string][]byte{"state": b.state, "data": b.disk}[w.disk][w.at:], data)
	}
}

// A sealed key that cannot be read on a disk in use is never replaced.
func TestDamagedKeyOfADiskInUse(t *testing.T) {
	b := made(t)
	for _, at := range []int64{layout.SealedCopy1, layout.SealedCopy2} {
		b.state[at+100] ^= 1
	}
	b.refuses(t, seal.ErrDamaged, "sealed key")
	copy(b.disk, make([]byte, layout.DataCrypt)) // not even when its header is gone, too
	b.refuses(t, seal.ErrDamaged, "sealed key")
}

func made(t *testing.T) *bench {
	t.Helper()
	b := newBench()
	_, err := b.boot()
	require.NoError(t, err)
	b.log = nil
	return b
}

// refuses boots and wants this error and not a single write.
func (b *bench) refuses(t *testing.T, want error, says string, because ...any) {
	t.Helper()
	b.log = nil
	_, err := b.boot()
	require.Error(t, err, because...)
	if want != nil {
		require.ErrorIs(t, err, want)
	}
	require.ErrorContains(t, err, says)
	require.Empty(t, b.log, "nothing may be written")
	require.False(t, b.mounted)
}

func TestNeverFormatsWhatWasInUse(t *testing.T) {
	b := made(t)
	clear(b.disk[:layout.DataCrypt])
	b.refuses(t, ErrHeader, "nothing is formatted")

	b = made(t)
	clear(b.state)
	b.refuses(t, ErrKeyLost, "sealed key is gone")

	b = made(t)
	for _, at := range []int64{layout.SealedCopy1, layout.SealedCopy2} {
		b.state[at+100] ^= 1
	}
	b.refuses(t, seal.ErrDamaged, "")

	b = made(t)
	b.pcrs.Image[0] = 1
	b.refuses(t, nil, "the boot image is another")

	b = made(t)
	b.noTPM = errors.New("no TPM")
	b.refuses(t, b.noTPM, "opening the data key")

	other := made(t)
	other.disk = made(t).disk
	h := Header{Identity: [16]byte{9}}
	require.NoError(t, pair().Store(medium{other, "data", other.disk}, h.Encode()))
	require.NoError(t, pair().Store(medium{other, "data", other.disk}, h.Encode()))
	other.refuses(t, ErrKey, "")

	b = newBench()
	copy(b.disk, "something else")
	b.refuses(t, ErrForeign, "neither empty nor ours")
}

func TestOneDamagedHeaderCopyIsNoHarm(t *testing.T) {
	for _, at := range []int64{copy1, copy2} {
		b := made(t)
		b.disk[at+80] ^= 1
		v, err := b.boot()
		require.NoError(t, err)
		b.requireGood(t, v)
	}
}

// A partition that became larger after it was made is filled at the next boot; when that fails, the shop opens on what
// there was.
func TestFileSystemOfASmallerDisk(t *testing.T) {
	b := made(t)
	key := b.stored(t).Key
	_, err := b.crypt(key[:]).WriteAt(emptyFS()[:sector], 0)
	require.NoError(t, err)
	b.grow, b.say = errors.New("growing: no room"), nil
	_, err = b.boot()
	require.NoError(t, err)
	require.True(t, b.mounted)
	require.Contains(t, b.say, "growing: no room")
	b.grow = nil
	v, err := b.boot()
	require.NoError(t, err)
	b.requireGood(t, v)
}

func TestFirstBootThatCannotFinish(t *testing.T) {
	b := newBench()
	b.grow = errors.New("no room")
	_, err := b.boot()
	require.ErrorContains(t, err, "making the data partition: no room")
	require.Equal(t, datakey.Making, b.stored(t).State)
	b.grow = nil
	v, err := b.boot()
	require.NoError(t, err)
	b.requireGood(t, v)

	b = newBench()
	b.noTPM = errors.New("no TPM")
	b.refuses(t, b.noTPM, "making the data key")
}
