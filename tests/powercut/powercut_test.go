package powercut

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/frame"
)

// recorder is a device that keeps the log of its writes as QEMU would.
type recorder struct {
	*Disk
	ops []Op
}

func (r *recorder) WriteAt(b []byte, at int64) (int, error) {
	op := Op{Sector: at / Sector, Data: bytes.Clone(b)}
	r.ops = append(r.ops, op)
	put(r.over, op, nil)
	return len(b), nil
}

func (r *recorder) Sync() error {
	r.ops = append(r.ops, Op{Flush: true})
	return nil
}

func blank() *Disk { return NewDisk(bytes.NewReader(make([]byte, 1<<20))) }

func pair() frame.Pair {
	return frame.Pair{Magic: "TEST", Offset: [2]int64{0, 64 << 10}, Size: 4096}
}

// Two copies written in turns survive every cut; the same thing written twice without a flush between does not, and
// the enumeration finds it: a test that could not fail would be worth nothing.
func TestFindsWhatIsWrong(t *testing.T) {
	judge := func(c Cut, d *Disk) error {
		found, err := pair().Load(d)
		if err != nil && c.At > 2 {
			return err
		}
		if len(found.Payload) == 0 && c.At > 2 {
			return errors.New("nothing is left")
		}
		return nil
	}
	good := &recorder{Disk: blank()}
	for _, text := range []string{"one", "two", "three", "four"} {
		require.NoError(t, pair().Store(good, []byte(text)))
	}
	n, err := Each(blank(), good.ops, Plan{Torn: 4, Reordered: 4, Seed: 1}, judge)
	require.NoError(t, err)
	require.Greater(t, n, 20)

	bad := &recorder{Disk: blank()}
	block, err := frame.Encode("TEST", 1, []byte("one"), 4096)
	require.NoError(t, err)
	for range 4 {
		for _, at := range []int64{0, 64 << 10} {
			_, err = bad.WriteAt(append([]byte(nil), block...), at)
			require.NoError(t, err)
			block[70]++ // no checksum fits this
		}
	}
	_, err = Each(blank(), bad.ops, Plan{Torn: 4, Reordered: 4, Seed: 1}, judge)
	require.Error(t, err)
}

// A write that was answered after a flush is never among what a cut takes.
func TestFlushedStays(t *testing.T) {
	r := &recorder{Disk: blank()}
	_, _ = r.WriteAt(bytes.Repeat([]byte{1}, 1024), 0)
	_ = r.Sync()
	_, _ = r.WriteAt(bytes.Repeat([]byte{2}, 1024), 4096)
	_, err := Each(blank(), r.ops, Plan{Torn: 8, Reordered: 8, Seed: 1}, func(c Cut, d *Disk) error {
		b := make([]byte, 1024)
		_, err := d.ReadAt(b, 0)
		if c.At >= 2 && bytes.Count(b, []byte{1}) != 1024 {
			return errors.New("lost")
		}
		return err
	})
	require.NoError(t, err)
}

// What a judge writes is gone at the next cut.
func TestJudgesDoNotMeet(t *testing.T) {
	r := &recorder{Disk: blank()}
	for i := range 8 {
		_, _ = r.WriteAt(bytes.Repeat([]byte{1}, 1024), int64(i)*2048)
	}
	_, err := Each(blank(), r.ops, Plan{Torn: 2, Reordered: 2, Seed: 1}, func(_ Cut, d *Disk) error {
		b := make([]byte, 512)
		if _, err := d.ReadAt(b, 512<<10); err != nil || b[0] != 0 {
			return errors.Join(err, errors.New("somebody was here"))
		}
		_, err := d.WriteAt(bytes.Repeat([]byte{9}, 512), 512<<10)
		return err
	})
	require.NoError(t, err)
}

// entry is one entry of a log as drivers/md/dm-log-writes.c writes it.
func entry(sector, flags uint64, data []byte) []byte {
	b := make([]byte, Sector, Sector+len(data))
	for i, v := range []uint64{sector, uint64(len(data) / Sector), flags, 0} {
		binary.LittleEndian.PutUint64(b[8*i:], v)
	}
	return append(b, data...)
}

func head() []byte {
	b := make([]byte, Sector)
	binary.LittleEndian.PutUint64(b, logMagic)
	binary.LittleEndian.PutUint64(b[8:], logVersion)
	binary.LittleEndian.PutUint32(b[24:], Sector)
	return b
}

func TestReadLog(t *testing.T) {
	data := bytes.Repeat([]byte{7}, 2*Sector)
	text := bytes.Join([][]byte{head(), entry(5, 0, data), entry(0, flagFlush, nil), entry(9, flagFUA, data[:Sector])}, nil)
	path := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	ops, err := ReadLog(path)
	require.NoError(t, err)
	require.Equal(t, []Op{{Sector: 5, Data: data}, {Data: []byte{}, Flush: true}, {Sector: 9, Data: data[:Sector], FUA: true}}, ops)

	require.NoError(t, os.WriteFile(path, text[:len(text)-1], 0o600)) // cut while QEMU wrote the log
	ops, err = ReadLog(path)
	require.NoError(t, err)
	require.Len(t, ops, 2)

	require.NoError(t, os.WriteFile(path, text[1:], 0o600))
	_, err = ReadLog(path)
	require.ErrorContains(t, err, "not a log")
	_, err = parseLog(append(head(), entry(0, flagDiscard, nil)...))
	require.ErrorContains(t, err, "discard")
}

func FuzzParseLog(f *testing.F) {
	f.Add(append(head(), entry(5, flagFUA, make([]byte, Sector))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		ops, err := parseLog(b)
		if err != nil {
			return
		}
		for _, op := range ops {
			require.Zero(t, len(op.Data)%Sector)
		}
	})
}

// Reading over a part of a sector gives that part.
func TestReadAcrossSectors(t *testing.T) {
	d := blank()
	want := make([]byte, 1<<20)
	dice := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		op := Op{Sector: dice.Int64N(2000), Data: bytes.Repeat([]byte{byte(dice.Uint32())}, Sector*(1+dice.IntN(4)))}
		put(d.over, op, nil)
		copy(want[op.Sector*Sector:], op.Data)
	}
	for range 1000 {
		at, n := dice.Int64N(1<<20-5000), dice.IntN(5000)
		got := make([]byte, n)
		_, err := d.ReadAt(got, at)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want[at:at+int64(n)], got))
	}
}
