package espupdate

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/frame/frametest"
	"github.com/choba-os/choba/image/layout"
)

func sample() Record {
	return Record{State: Sealed, Version: 14, From: [32]byte{1}, To: [32]byte{2}, Attempts: 2, Reason: "no room"}
}

const golden = "choba boot file 1\nstate sealed\nversion 14\nfrom 0100000000000000000000000000000000000000000000000000000000000000\n" +
	"to 0200000000000000000000000000000000000000000000000000000000000000\nattempts 2\nreason no room\n"

func TestRecord(t *testing.T) {
	require.Equal(t, golden, string(sample().Encode()))
	r, err := Parse([]byte(golden))
	require.NoError(t, err)
	require.Equal(t, sample(), r)
	for _, bad := range []string{"", "x", golden + "x", golden[1:], strings.Replace(golden, "sealed", "open", 1),
		strings.Replace(golden, "14", "014", 1), strings.Replace(golden, "attempts 2", "attempts -2", 1),
		strings.Replace(golden, "from 01", "from 0", 1), strings.Replace(golden, "no room", "no\troom", 1)} {
		_, err := Parse([]byte(bad))
		require.Error(t, err, "%q", bad)
	}
}

// Every changed byte of one copy leaves the other one; what cannot be read at all is as if there were none.
func TestRecordOnDisk(t *testing.T) {
	d := frametest.New(4 * layout.MiB)
	require.Equal(t, Record{State: None}, Load(d))
	require.NoError(t, Store(d, sample()))
	for i := range layout.BootSize {
		d.Data[layout.BootCopy1+int64(i)] ^= 1
		require.Equal(t, sample(), Load(d))
		d.Data[layout.BootCopy1+int64(i)] ^= 1
	}
	clear(d.Data[layout.BootCopy1 : layout.BootCopy2+layout.BootSize])
	require.Equal(t, Record{State: None}, Load(d))
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte(strings.Replace(golden, "no room", "", 1)))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Parse(text)
		if err == nil {
			require.Equal(t, string(text), string(r.Encode()))
		}
	})
}
