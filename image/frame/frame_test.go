package frame

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/frame/frametest"
)

const testMagic = "TEST-1"

// Golden bytes: the stored form never changes under one magic.
func TestGolden(t *testing.T) {
	got, err := Encode(testMagic, 7, []byte("hello"), 80)
	require.NoError(t, err)
	require.Equal(t, "544553542d3100000000000000000000"+"0700000000000000"+"05000000"+"00000000"+
		"2ce5937190542ca62effa39a7ccbefbed59a6b9b9ab09c458d4194ffa3704e55"+
		"68656c6c6f0000000000000000000000", hex.EncodeToString(got))
}

func TestRoundTrip(t *testing.T) {
	for n := range 17 {
		payload := bytes.Repeat([]byte{0xa5}, n)
		block, err := Encode(testMagic, uint64(n), payload, 80)
		require.NoError(t, err)
		back, generation, err := Decode(testMagic, block)
		require.NoError(t, err)
		require.Equal(t, uint64(n), generation)
		require.True(t, bytes.Equal(payload, back))
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, magic := range []string{"", "seventeen bytes!!", "a\x00b"} {
		_, err := Encode(magic, 0, nil, 80)
		require.Error(t, err, "%q", magic)
	}
	_, err := Encode(testMagic, 0, make([]byte, 17), 80)
	require.Error(t, err)
}

// Every changed bit of the block is noticed, also in the padding.
func TestEveryBit(t *testing.T) {
	block, err := Encode(testMagic, 7, []byte("hello"), 128)
	require.NoError(t, err)
	for i := range block {
		for bit := range 8 {
			block[i] ^= 1 << bit
			_, _, err := Decode(testMagic, block)
			require.Error(t, err, "byte %d bit %d", i, bit)
			block[i] ^= 1 << bit
		}
	}
}

// A block that only another program could have written, with a right checksum.
func TestForm(t *testing.T) {
	for name, change := range map[string]func(b []byte){
		"length beyond the block": func(b []byte) { b[24] = 0xff },
		"reserved bytes":          func(b []byte) { b[29] = 1 },
		"bytes in the padding":    func(b []byte) { b[127] = 1 },
	} {
		block, err := Encode(testMagic, 7, []byte("hello"), 128)
		require.NoError(t, err)
		change(block)
		sum := checksum(block)
		copy(block[32:], sum[:])
		_, _, err = Decode(testMagic, block)
		require.ErrorIs(t, err, ErrForm, name)
	}
	_, _, err := Decode(testMagic, make([]byte, 10))
	require.ErrorIs(t, err, ErrForm)
	_, _, err = Decode(testMagic, make([]byte, 128))
	require.ErrorIs(t, err, ErrEmpty)
	block, err := Encode("OTHER", 7, []byte("hello"), 128)
	require.NoError(t, err)
	_, _, err = Decode(testMagic, block)
	require.ErrorIs(t, err, ErrMagic)
}

func FuzzDecode(f *testing.F) {
	block, err := Encode(testMagic, 7, []byte("hello"), 128)
	require.NoError(f, err)
	f.Add(block)
	f.Add(make([]byte, 128))
	f.Fuzz(func(t *testing.T, block []byte) {
		payload, generation, err := Decode(testMagic, block)
		if err != nil {
			return
		}
		again, err := Encode(testMagic, generation, payload, len(block))
		require.NoError(t, err)
		require.True(t, bytes.Equal(block, again), "one spelling")
	})
}

func testPair() Pair { return Pair{Magic: testMagic, Offset: [2]int64{0, 8192}, Size: 2048} }

func TestPairTakesTurns(t *testing.T) {
	m, p := frametest.New(16384), testPair()
	_, err := p.Load(m)
	require.ErrorIs(t, err, ErrUnreadable)
	require.ErrorIs(t, err, ErrEmpty)
	require.NoError(t, p.Store(m, []byte("0")))
	require.Equal(t, 2, m.Syncs, "a fresh pair is written twice")
	copies := []int{}
	for i := 1; i < 6; i++ {
		require.NoError(t, p.Store(m, []byte{byte('0' + i)}))
		f, err := p.Load(m)
		require.NoError(t, err)
		require.Equal(t, []byte{byte('0' + i)}, f.Payload)
		require.Equal(t, [2]error{}, f.Problem)
		require.Equal(t, []byte{byte('0' + i - 1)}, f.Older)
		copies = append(copies, f.Copy)
	}
	require.Equal(t, []int{1, 2, 1, 2, 1}, copies)
	require.Equal(t, 2+5, m.Syncs, "each store is flushed")
}

// Whatever byte of one copy is damaged, the other one is used, and the next Store
// heals the damage.
func TestPairEveryByte(t *testing.T) {
	base, p := frametest.New(16384), testPair()
	require.NoError(t, p.Store(base, []byte("old")))
	require.NoError(t, p.Store(base, []byte("new"))) // copy 1
	want := [2]string{"old", "new"}
	for c := range 2 {
		for i := range p.Size {
			m := base.Clone()
			m.Data[int(p.Offset[c])+i] ^= 0x40
			f, err := p.Load(m)
			require.NoError(t, err)
			require.Equal(t, want[c], string(f.Payload))
			require.Nil(t, f.Older)
			require.Error(t, f.Problem[c])
			require.NoError(t, f.Problem[1-c])
			if i%64 == 0 {
				require.NoError(t, p.Store(m, []byte("next")))
				f, err = p.Load(m)
				require.NoError(t, err)
				require.Equal(t, "next", string(f.Payload))
				require.Equal(t, [2]error{}, f.Problem)
			}
		}
	}
}

// Power cut after each sector of a Store, sectors written in either order: the old
// payload or the new one, never a third.
func TestPairPowerCut(t *testing.T) {
	for _, reverse := range []bool{false, true} {
		base, p := frametest.New(16384), testPair()
		for _, text := range []string{"a", "b", "c"} {
			require.NoError(t, p.Store(base, []byte(text)))
		}
		for cut := range p.Size/512 + 1 {
			m := base.Clone()
			m.Reverse, m.Left = reverse, cut
			err := p.Store(m, []byte("d"))
			f, loadErr := p.Load(m)
			require.NoError(t, loadErr)
			if cut < p.Size/512 {
				require.ErrorIs(t, err, frametest.ErrPower)
			}
			// The last sector makes it: before, one of the frame's sectors is old.
			whole := bytes.Equal(m.Data[p.Offset[0]:][:p.Size], frameOf(t, 5, "d", p.Size))
			require.Equal(t, map[bool]string{false: "c", true: "d"}[whole], string(f.Payload), "reverse %v cut %d", reverse, cut)
			m.Left = -1
			require.NoError(t, p.Store(m, []byte("e")))
			f, err = p.Load(m)
			require.NoError(t, err)
			require.Equal(t, "e", string(f.Payload))
		}
	}
}

func frameOf(t *testing.T, generation uint64, text string, size int) []byte {
	b, err := Encode(testMagic, generation, []byte(text), size)
	require.NoError(t, err)
	return b
}

func TestPairConflict(t *testing.T) {
	m, p := frametest.New(16384), testPair()
	copy(m.Data, frameOf(t, 9, "x", p.Size))
	copy(m.Data[8192:], frameOf(t, 9, "y", p.Size))
	_, err := p.Load(m)
	require.ErrorIs(t, err, ErrConflict)
	require.NoError(t, p.Store(m, []byte("z")))
	f, err := p.Load(m)
	require.NoError(t, err)
	require.Equal(t, "z", string(f.Payload))

	copy(m.Data, frameOf(t, 9, "x", p.Size))
	copy(m.Data[8192:], frameOf(t, 9, "x", p.Size))
	f, err = p.Load(m)
	require.NoError(t, err, "two equal copies are no conflict")
	require.Equal(t, 1, f.Copy)
}

// A whole frame that the owner cannot read is never preferred, and is what the next
// Store writes over.
func TestPairCheck(t *testing.T) {
	m, p := frametest.New(16384), testPair()
	errOdd := errors.New("odd")
	p.Check = func(payload []byte) error {
		if payload[0] == '?' {
			return errOdd
		}
		return nil
	}
	require.NoError(t, p.Store(m, []byte("a")))
	copy(m.Data, frameOf(t, 9, "?", p.Size))
	f, err := p.Load(m)
	require.NoError(t, err)
	require.Equal(t, Found{Payload: []byte("a"), Generation: 2, Copy: 2, Problem: [2]error{errOdd, nil}}, f)
	require.NoError(t, p.Store(m, []byte("b")))
	f, err = p.Load(m)
	require.NoError(t, err)
	require.Equal(t, Found{Payload: []byte("b"), Older: []byte("a"), Generation: 3, Copy: 1}, f)
	copy(m.Data, frameOf(t, 9, "?", p.Size))
	copy(m.Data[8192:], frameOf(t, 9, "?!", p.Size))
	_, err = p.Load(m)
	require.ErrorIs(t, err, ErrUnreadable)
	require.ErrorIs(t, err, errOdd)
}

func TestPairEnds(t *testing.T) {
	m, p := frametest.New(16384), testPair()
	copy(m.Data, frameOf(t, 1<<64-1, "last", p.Size))
	require.Error(t, p.Store(m, []byte("more")), "generations are used up")
	short := frametest.New(4096)
	_, err := p.Load(short)
	require.ErrorIs(t, err, ErrUnreadable)
	require.ErrorIs(t, err, io.EOF)
	require.Error(t, p.Store(short, []byte("x")))
	require.Error(t, p.Store(frametest.New(16384), make([]byte, p.Size)), "too long")
}

// Beside the payload that has to stay: it is there at every cut, whichever copy holds
// it, and the new one is the newer afterwards.
func TestPairStoreBeside(t *testing.T) {
	p := testPair()
	base := frametest.New(16384)
	require.NoError(t, p.Store(base, []byte("present")))
	require.NoError(t, p.Store(base, []byte("future"))) // copy 1 is newer, copy 2 holds "present"
	for _, keep := range []string{"present", "future"} {
		for _, reverse := range []bool{false, true} {
			for cut := range p.Size/512 + 2 {
				m := base.Clone()
				m.Reverse, m.Left = reverse, cut
				if cut > p.Size/512 {
					m.Left = -1
				}
				err := p.StoreBeside(m, []byte(keep), []byte("next"))
				f, loadErr := p.Load(m)
				require.NoError(t, loadErr)
				require.Contains(t, []string{string(f.Payload), string(f.Older)}, keep, "cut %d", cut)
				if cut > p.Size/512 {
					require.NoError(t, err)
					require.Equal(t, "next", string(f.Payload))
					require.Equal(t, keep, string(f.Older))
				} else {
					require.ErrorIs(t, err, frametest.ErrPower)
				}
			}
		}
	}
	require.ErrorIs(t, p.StoreBeside(base, []byte("stranger"), []byte("next")), ErrNotThere)
	require.ErrorIs(t, p.StoreBeside(frametest.New(16384), nil, []byte("next")), ErrUnreadable)
	base.Data[8192+70] ^= 1 // "present" is damaged: what is left is kept, the damage healed
	require.ErrorIs(t, p.StoreBeside(base, []byte("present"), []byte("next")), ErrNotThere)
	require.NoError(t, p.StoreBeside(base, []byte("future"), []byte("future")))
	f, err := p.Load(base)
	require.NoError(t, err)
	require.Equal(t, "future", string(f.Payload))
	require.Equal(t, "future", string(f.Older))
}
