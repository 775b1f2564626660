package datakey

import (
	"bytes"
	"encoding/hex"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func golden() Secret {
	s := Secret{State: Made}
	for i := range s.Identity {
		s.Identity[i] = byte(i)
	}
	for i := range s.Key {
		s.Key[i] = byte(0x40 + i)
	}
	return s
}

// Golden bytes: a register sold today must be read by the software of ten years from now.
func TestGolden(t *testing.T) {
	s := golden()
	body := "02000102030405060708090a0b0c0d0e0f" + hex.EncodeToString(s.Key[:])
	require.Equal(t, "01"+body, hex.EncodeToString(s.Encode()))
	marked := s.Mark(1, time.Unix(0x01020304, 5))
	require.Equal(t, "02"+body+"00000001"+"0000000001020304", hex.EncodeToString(marked.Encode()))
	for _, want := range []Secret{s, marked, marked.Mark(1, time.Unix(-9, 0))} {
		got, err := Parse(want.Encode())
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.Equal(t, "732fd3a955e1651607532804b3da7aae4968995656da2d04db61623770bca52d", hex.EncodeToString(ownerOf(s)))
}

func ownerOf(s Secret) []byte { o := s.Owner(); return o[:] }

func TestParseRefuses(t *testing.T) {
	s := golden()
	marked := s.Mark(1, time.Unix(9, 0)).Encode()
	unmarked := bytes.Clone(marked)
	clear(unmarked[size1 : size1+4])
	for _, bad := range [][]byte{nil, s.Encode()[1:], append(s.Encode(), 0), append([]byte{2}, s.Encode()[1:]...),
		append([]byte{1}, marked[1:]...), append([]byte{1, 9}, s.Encode()[2:]...), unmarked} {
		_, err := Parse(bad)
		require.Error(t, err)
	}
}

// The count does not pass through 0, whatever number the disk gives.
func TestMarkStopsAtTheEnd(t *testing.T) {
	s := golden()
	s.Rebound = 1
	for _, times := range []uint32{math.MaxUint32 - 1, math.MaxUint32} {
		require.EqualValues(t, uint32(math.MaxUint32), s.Mark(times, time.Unix(9, 0)).Rebound)
	}
	require.EqualValues(t, 4, s.Mark(3, time.Unix(9, 0)).Rebound)
}

// What is derived or forgotten: the owner's password hangs on the key alone.
func TestOwnerAndWipe(t *testing.T) {
	s := golden()
	other := s
	other.State, other.Rebound = Making, 3
	require.Equal(t, s.Owner(), other.Owner())
	other.Wipe()
	require.Zero(t, other.Key)
	require.NotEqual(t, s.Owner(), other.Owner())
	require.NotContains(t, string(ownerOf(s)), "\x00")
}

func FuzzParse(f *testing.F) {
	f.Add(golden().Encode())
	f.Add(golden().Mark(1, time.Unix(9, 0)).Encode())
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := Parse(text); err == nil {
			require.Equal(t, text, s.Encode())
		}
	})
}
