package eventlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// number appends little-endian numbers of the given sizes.
func number(b []byte, n uint64, size int) []byte {
	return append(b, binary.LittleEndian.AppendUint64(nil, n)[:size]...)
}

// head is the first event of a log with a SHA-1 and a SHA-256 bank.
func head() []byte {
	body := []byte(signature)
	body = number(body, 0, 4)         // platform class
	body = append(body, 0, 2, 105, 2) // version 2.0, errata, 64-bit numbers
	body = number(body, 2, 4)
	body = number(number(body, 4, 2), 20, 2)
	body = number(number(body, sha256ID, 2), 32, 2)
	body = append(body, 0)
	log := number(number(nil, 0, 4), noAction, 4)
	log = append(log, make([]byte, sha1Size)...)
	return append(number(log, uint64(len(body)), 4), body...)
}

func added(log []byte, pcr, kind uint32, text string) []byte {
	sum := sha256.Sum256([]byte(text))
	log = number(number(log, uint64(pcr), 4), uint64(kind), 4)
	log = number(log, 2, 4)
	log = append(number(log, 4, 2), make([]byte, 20)...)
	log = append(number(log, sha256ID, 2), sum[:]...)
	log = number(log, uint64(len(text)), 4)
	return append(log, text...)
}

// example is what firmware writes for a boot, in small.
func example() []byte {
	log := head()
	log = added(log, 7, 0x80000001, "SecureBoot")
	log = added(log, 4, 0x80000007, "Calling EFI Application from Boot Option")
	log = added(log, 7, 4, "separator")
	log = added(log, 4, noAction, "says something, extends nothing")
	log = added(log, 4, 4, "\x00\x00\x00\x00")
	return added(log, 4, 0x80000003, "image")
}

func TestDigests(t *testing.T) {
	got, err := Digests(example(), 4)
	require.NoError(t, err)
	require.Equal(t, []Digest{
		sha256.Sum256([]byte("Calling EFI Application from Boot Option")), sha256.Sum256(make([]byte, 4)), sha256.Sum256([]byte("image")),
	}, got)
	got, err = Digests(example(), 9)
	require.NoError(t, err)
	require.Empty(t, got)
	got, err = Digests(head(), 4)
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestRefuses(t *testing.T) {
	whole := example()
	for n := range whole {
		_, err := Digests(whole[:n], 4)
		if err == nil { // cut between two events: a shorter log
			continue
		}
		require.ErrorIs(t, err, ErrForm, "cut at %d", n)
	}
	for name, change := range map[string]func([]byte) []byte{
		"nothing":                func([]byte) []byte { return nil },
		"too long":               func([]byte) []byte { return make([]byte, MaxLog+1) },
		"the old form":           func(b []byte) []byte { b[4] = 4; return b },
		"another header":         func(b []byte) []byte { b[32] = 'X'; return b },
		"no bank":                func(b []byte) []byte { b[56] = 0; return b },
		"too many banks":         func(b []byte) []byte { b[56] = 17; return b },
		"SHA-256 of 20 bytes":    func(b []byte) []byte { b[66] = 20; return b },
		"an unknown bank":        func(b []byte) []byte { b[len(head())+12] = 9; return b },
		"a huge number of banks": func(b []byte) []byte { b[len(head())+10] = 1; return b },
		"a huge event":           func(b []byte) []byte { b[len(head())+12+22+34+3] = 0xff; return b },
		"bytes behind":           func(b []byte) []byte { return append(b, 1) },
		"an event of PCR 4 without SHA-256": func(b []byte) []byte {
			b = number(number(number(b, 4, 4), 5, 4), 1, 4)
			return number(append(number(b, 4, 2), make([]byte, 20)...), 0, 4)
		},
	} {
		_, err := Digests(change(bytes.Clone(whole)), 4)
		require.ErrorIs(t, err, ErrForm, name)
	}
}

func FuzzDigests(f *testing.F) {
	f.Add(example(), uint32(4))
	f.Add(head(), uint32(0))
	f.Fuzz(func(t *testing.T, log []byte, pcr uint32) {
		got, err := Digests(log, pcr)
		if err != nil {
			require.ErrorIs(t, err, ErrForm)
			require.Empty(t, got)
		}
		require.LessOrEqual(t, 44*len(got), len(log), "a digest takes room in the log")
	})
}
