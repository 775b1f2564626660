package dm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestRequest holds the layout of linux/dm-ioctl.h.
func TestRequest(t *testing.T) {
	params := "1 /dev/vda3 /dev/vda3 4096"
	buf, err := request("choba-slot-a", flagReadOnly, &target{kind: "verity", sectors: 0x1234, params: params})
	require.NoError(t, err)
	le := binary.LittleEndian
	require.Len(t, buf, 312+40+32)
	require.Equal(t, []uint32{4, 0, 0, 384, 312, 1}, []uint32{
		le.Uint32(buf), le.Uint32(buf[4:]), le.Uint32(buf[8:]), le.Uint32(buf[12:]), le.Uint32(buf[16:]), le.Uint32(buf[20:])})
	require.Equal(t, uint32(1|1<<15), le.Uint32(buf[28:]))
	require.Equal(t, "choba-slot-a\x00", string(buf[48:61]))
	spec := buf[312:]
	require.Equal(t, uint64(0), le.Uint64(spec))
	require.Equal(t, uint64(0x1234), le.Uint64(spec[8:]))
	require.Equal(t, uint32(72), le.Uint32(spec[20:]), "where the next target would begin")
	require.Equal(t, "verity", string(bytes.TrimRight(spec[24:40], "\x00")))
	require.Equal(t, params+"\x00", string(spec[40:40+len(params)+1]))
}

func TestRequestName(t *testing.T) {
	for _, name := range []string{"", strings.Repeat("x", 128)} {
		_, err := request(name, 0, nil)
		require.ErrorContains(t, err, "want 1 to 127")
	}
	buf, err := request(strings.Repeat("x", 127), 0, nil)
	require.NoError(t, err)
	require.Equal(t, uint32(0), binary.LittleEndian.Uint32(buf[20:]), "no target")
}

func TestExplainVerity(t *testing.T) {
	for errno, want := range map[error]error{
		unix.ENOKEY: ErrStranger, unix.ENODATA: ErrStranger,
		unix.EKEYREJECTED: ErrSignature, unix.EBADMSG: ErrSignature,
	} {
		err := explainVerity(errno)
		require.ErrorIs(t, err, want)
		require.ErrorIs(t, err, errno)
	}
	require.Equal(t, error(unix.ENXIO), explainVerity(unix.ENXIO))
}

// TestCryptRefuses also holds the promise that the key is wiped, whatever happens. (E05)
func TestCryptRefuses(t *testing.T) {
	for name, c := range map[string]Crypt{
		"short key":      {Name: "x", Device: "/dev/x", Sectors: 8, Key: bytes.Repeat([]byte{1}, 32)},
		"table smuggled": {Name: "x", Device: "/dev/x 0 1 allow_discards", Sectors: 8, Key: bytes.Repeat([]byte{1}, 64)},
		"odd length":     {Name: "x", Device: "/dev/x", Sectors: 9, Key: bytes.Repeat([]byte{1}, 64)},
		"nothing":        {Name: "x", Device: "/dev/x", Key: bytes.Repeat([]byte{1}, 64)},
	} {
		_, err := OpenCrypt(c)
		require.ErrorContains(t, err, "opening crypt device x", name)
		require.Equal(t, make([]byte, len(c.Key)), c.Key, name)
	}
}

func TestNoDeviceMapper(t *testing.T) {
	if _, err := call(cmdRemove, "choba-test-absent", 0, nil); err == nil || errors.Is(err, unix.ENXIO) {
		t.Skip("this machine has a device-mapper")
	}
	require.ErrorContains(t, Remove("choba-test-absent"), "removing device choba-test-absent")
}
