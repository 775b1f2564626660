package usbstick_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/drivers/usbstick"
	"github.com/choba-os/choba/drivers/usbstick/sticktest"
)

func sample(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

func at(t *testing.T, fake *sticktest.Stick, o usbstick.Options) (*usbstick.Stick, error) {
	t.Helper()
	waited := time.Duration(0)
	o.Wait = func(d time.Duration) { waited += d }
	s, err := usbstick.New(fake, o)
	require.Less(t, waited, 15*time.Second)
	return s, err
}

func start(t *testing.T, fake *sticktest.Stick, o usbstick.Options) *usbstick.Stick {
	t.Helper()
	s, err := at(t, fake, o)
	require.NoError(t, err)
	return s
}

// An honest stick gives its bytes, at every offset and in every length.
func TestReads(t *testing.T) {
	data := sample(300 << 10)
	s := start(t, sticktest.New(bytes.Clone(data)), usbstick.Options{})
	require.Equal(t, "Choba Made-up stick", s.Name())
	require.EqualValues(t, len(data), s.Size())
	require.NoError(t, iotest.TestReader(io.NewSectionReader(s, 0, s.Size()), data))
	for _, c := range [][2]int64{{0, 1}, {65535, 2}, {1, 300<<10 - 1}, {511, 70000}, {300<<10 - 1, 1}} {
		b := make([]byte, c[1])
		n, err := s.ReadAt(b, c[0])
		require.NoError(t, err)
		require.Equal(t, data[c[0]:c[0]+c[1]], b[:n])
	}
	n, err := s.ReadAt(make([]byte, 10), 300<<10-5)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, 5, n)
	_, err = s.ReadAt(make([]byte, 1), -1)
	require.Error(t, err)
	require.NoError(t, s.Close())
	_, err = s.ReadAt(make([]byte, 1), 200<<10)
	require.Error(t, err)
}

// What was read is not asked for again, and one command brings 64 KiB.
func TestReadsAhead(t *testing.T) {
	fake := sticktest.New(sample(4 << 20))
	s := start(t, fake, usbstick.Options{})
	fake.Log = nil
	for off := int64(0); off < 1<<20; off += 512 {
		_, err := s.ReadAt(make([]byte, 512), off)
		require.NoError(t, err)
	}
	require.Len(t, fake.Log, 16)
}

// Sticks that wake slowly, with a message, or without a word about themselves, are used.
func TestStartsOddSticks(t *testing.T) {
	for name, f := range map[string]sticktest.Faults{
		"slow": {NotReady: 12}, "with attentions": {Attention: 2}, "curt": {ShortName: true},
		"an empty packet": {At: 5, Wrong: sticktest.Empty},
	} {
		fake := sticktest.New(sample(8 << 10))
		fake.Faults = f
		s := start(t, fake, usbstick.Options{})
		_, err := s.ReadAt(make([]byte, 8<<10), 0)
		require.NoError(t, err, name)
	}
}

// Sticks that cannot be used, and in which words.
func TestRefusesSticks(t *testing.T) {
	for name, c := range map[string]struct {
		f    sticktest.Faults
		want error
	}{
		"never ready":           {sticktest.Faults{NotReady: 1000}, nil},
		"always an attention":   {sticktest.Faults{Attention: 1000}, nil},
		"no card in the reader": {sticktest.Faults{Empty: true}, usbstick.ErrEmpty},
		"a CD":                  {sticktest.Faults{Type: 5}, usbstick.ErrKind},
		"no blocks":             {sticktest.Faults{Blocks: 1 << 63}, usbstick.ErrKind},
		"2^64 blocks":           {sticktest.Faults{Blocks: 1<<64 - 1}, usbstick.ErrKind},
		"blocks of 1":           {sticktest.Faults{Block: 1}, usbstick.ErrKind},
		"blocks of 513":         {sticktest.Faults{Block: 513}, usbstick.ErrKind},
		"blocks of 2^31":        {sticktest.Faults{Block: 1 << 31}, usbstick.ErrKind},
	} {
		fake := sticktest.New(sample(8 << 10))
		fake.Faults = c.f
		_, err := at(t, fake, usbstick.Options{})
		require.Error(t, err, name)
		if c.want != nil {
			require.ErrorIs(t, err, c.want, name)
		}
		require.True(t, fake.Closed, name)
	}
	// 2^64 blocks in the long answer wrap around to none.
	fake := sticktest.New(sample(8 << 10))
	fake.Faults.Blocks = 0
	fake.Data = nil
	_, err := at(t, fake, usbstick.Options{})
	require.ErrorIs(t, err, usbstick.ErrKind)
}

// Blocks of 4096 and a stick of more than 2 TiB use the same ways.
func TestLargeBlocksAndSizes(t *testing.T) {
	fake := sticktest.New(sample(64 << 10))
	fake.Faults.Block, fake.Faults.Blocks = 4096, 16
	s := start(t, fake, usbstick.Options{})
	b := make([]byte, 64<<10)
	_, err := s.ReadAt(b, 0)
	require.NoError(t, err)
	require.Equal(t, fake.Data, b)

	fake = sticktest.New(sample(64 << 10))
	fake.Faults.Blocks = 1 << 33
	s = start(t, fake, usbstick.Options{})
	require.EqualValues(t, 1<<42, s.Size())
	_, err = s.ReadAt(b, 1<<41)
	require.Error(t, err, "the stick claims more than it has")
	require.Contains(t, fake.Log, byte(0x88))
	_, err = s.ReadAt(b[:10], 0)
	require.NoError(t, err, "and is still usable")
}

// Every fault at every exchange, once and for ever: what comes back is right or an error, it ends, and after a fault
// that passes the stick is used on.
func TestEveryFaultEverywhere(t *testing.T) {
	data := sample(200 << 10)
	for wrong := sticktest.StallCommand; wrong <= sticktest.Empty; wrong++ {
		for exchange := 1; exchange <= 10; exchange++ {
			for _, times := range []int{1, 2, 1 << 20} {
				for _, noReset := range []bool{false, true} {
					fake := sticktest.New(bytes.Clone(data))
					fake.Faults = sticktest.Faults{At: exchange, Times: times, Wrong: wrong, NoReset: noReset}
					s, err := at(t, fake, usbstick.Options{})
					if err != nil {
						require.True(t, fake.Closed)
						continue
					}
					got := make([]byte, len(data))
					n, err := s.ReadAt(got, 0)
					require.True(t, bytes.Equal(data[:n], got[:n]), "%d at %d, %d times: wrong bytes", wrong, exchange, times)
					require.Equal(t, err == nil, n == len(data))
					require.LessOrEqual(t, len(fake.Log), 200, "it comes to an end")
				}
			}
		}
	}
}

// A fault that passes does not stop a read.
func TestRecovers(t *testing.T) {
	for _, wrong := range []sticktest.Wrong{sticktest.StallCommand, sticktest.StallStatus, sticktest.StallForever, sticktest.Silence,
		sticktest.WrongTag, sticktest.WrongSign, sticktest.ShortStatus, sticktest.LongStatus, sticktest.PhaseError, sticktest.OddStatus,
		sticktest.BigResidue, sticktest.LongData, sticktest.Empty} {
		for _, noReset := range []bool{false, true} {
			fake := sticktest.New(sample(200 << 10))
			fake.Faults = sticktest.Faults{At: 5, Wrong: wrong, NoReset: noReset}
			s := start(t, fake, usbstick.Options{})
			got := make([]byte, 200<<10)
			_, err := s.ReadAt(got, 0)
			require.NoError(t, err, "%d", wrong)
			require.True(t, bytes.Equal(fake.Data, got))
			require.Equal(t, noReset && fake.Resets > 0, fake.Ports > 0)
		}
	}
}

// A stick that is pulled out is gone for good, and says so.
func TestPulled(t *testing.T) {
	for _, c := range []sticktest.Wrong{sticktest.Pulled, sticktest.Changed} {
		fake := sticktest.New(sample(200 << 10))
		fake.Faults = sticktest.Faults{At: 5, Wrong: c}
		s := start(t, fake, usbstick.Options{})
		b := make([]byte, 200<<10)
		n, err := s.ReadAt(b, 0)
		require.ErrorIs(t, err, usbstick.ErrGone)
		require.Equal(t, 64<<10, n)
		fake.Faults = sticktest.Faults{}
		commands := len(fake.Log)
		_, err = s.ReadAt(b, 100<<10)
		require.ErrorIs(t, err, usbstick.ErrGone)
		require.ErrorIs(t, s.Sync(), usbstick.ErrGone)
		require.Len(t, fake.Log, commands, "it is not asked again")
	}
}

func TestMediumError(t *testing.T) {
	for _, c := range []sticktest.Wrong{sticktest.MediumError, sticktest.StallData} {
		fake := sticktest.New(sample(200 << 10))
		fake.Faults = sticktest.Faults{At: 5, Wrong: c}
		s := start(t, fake, usbstick.Options{})
		b := make([]byte, 200<<10)
		n, err := s.ReadAt(b, 0)
		require.ErrorIs(t, err, usbstick.ErrMedium)
		require.Equal(t, 64<<10, n)
		_, err = s.ReadAt(b, 0)
		require.NoError(t, err)
	}
}

func TestWrites(t *testing.T) {
	fake := sticktest.New(sample(200 << 10))
	s := start(t, fake, usbstick.Options{})
	_, err := s.WriteAt(make([]byte, 512), 0)
	require.ErrorIs(t, err, usbstick.ErrReadOnly, "it was opened for reading")
	require.NotContains(t, fake.Log, byte(0x2a))

	s = start(t, fake, usbstick.Options{Write: true})
	old := make([]byte, 512)
	_, err = s.ReadAt(old, 512)
	require.NoError(t, err)
	data := bytes.Repeat([]byte("written "), 150<<10/8)
	n, err := s.WriteAt(data, 512)
	require.NoError(t, err)
	require.Equal(t, len(data), n)
	require.NoError(t, s.Sync())
	require.Equal(t, 1, fake.Syncs)
	require.True(t, bytes.Equal(data, fake.Data[512:512+len(data)]))
	got := make([]byte, len(data))
	_, err = s.ReadAt(got, 512)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got), "not what was kept from before")
	for _, bad := range [][2]int64{{1, 512}, {0, 511}, {200 << 10, 512}, {-512, 512}, {0, 201 << 10}, {1<<63 - 1, 512}} {
		_, err := s.WriteAt(make([]byte, bad[1]), bad[0])
		require.Error(t, err, "%v", bad)
	}
	fake.Faults.NoSync = true
	require.NoError(t, s.Sync(), "it holds nothing back")
	fake.Faults.Protected = true
	_, err = s.WriteAt(data[:512], 0)
	require.ErrorIs(t, err, usbstick.ErrReadOnly)
	fake.Faults = sticktest.Faults{At: 0, Times: 1 << 20, Wrong: sticktest.MediumError}
	_, err = s.WriteAt(data[:512], 0)
	require.ErrorIs(t, err, usbstick.ErrMedium)
}

// broken answers every transfer with bytes that a fuzzer chose.
type broken struct {
	*sticktest.Stick
	script []byte
}

func (b *broken) In(buf []byte, d time.Duration) (int, error) {
	n, err := b.Stick.In(buf, d)
	if len(b.script) == 0 {
		return n, err
	}
	op := b.script[0]
	b.script = b.script[1:]
	switch op % 6 {
	case 0:
		return n, err
	case 1:
		return min(int(op), len(buf)), nil
	case 2:
		return 0, usbstick.ErrStall
	case 3:
		return copy(buf, b.script), nil
	case 4:
		return n, errors.New("babble")
	}
	for i := range min(n, len(b.script)) {
		buf[i] ^= b.script[i]
	}
	return n, err
}

func FuzzStick(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 2, 5, 1})
	f.Add([]byte{5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 200 {
			return
		}
		b := &broken{sticktest.New(make([]byte, 200<<10)), script}
		s, err := usbstick.New(b, usbstick.Options{Wait: func(time.Duration) {}, Write: true})
		if err != nil {
			return
		}
		_, _ = s.ReadAt(make([]byte, 100<<10), 700)
		_, _ = s.WriteAt(make([]byte, 4096), 4096)
		_ = s.Sync()
		require.Less(t, len(b.Log), 1000)
	})
}

// The driver's own share of a transfer, on a stick that takes no time.
func BenchmarkRead(b *testing.B) {
	fake := sticktest.New(make([]byte, 16<<20))
	s, err := usbstick.New(fake, usbstick.Options{})
	require.NoError(b, err)
	buf := make([]byte, 1<<20)
	b.SetBytes(16 << 20)
	for b.Loop() {
		fake.Log = nil
		for off := int64(0); off < 16<<20; off += 1 << 20 {
			_, err := s.ReadAt(buf, off)
			require.NoError(b, err)
		}
	}
}
