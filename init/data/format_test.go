package data

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/drivers/dm"
	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/keys/datakey"
)

func golden() Header {
	s := datakey.Secret{State: datakey.Made}
	for i := range s.Identity {
		s.Identity[i] = byte(i)
	}
	for i := range s.Key {
		s.Key[i] = byte(0x40 + i)
	}
	return headerOf(s)
}

// Golden bytes: a register sold today must be read by the software of ten years from now.
func TestFormatIsFixed(t *testing.T) {
	h := golden()
	require.Equal(t, "choba data 1\ncipher aes-xts-plain64\nsector 4096\noffset 1048576\n"+
		"identity 000102030405060708090a0b0c0d0e0f\n"+
		"check "+goldenCheck+"\n", string(h.Encode()))
	require.Equal(t, datakey.KeySize, dm.CryptKeySize)
	block, err := frame.Encode(magic, 1, h.Encode(), headerSize)
	require.NoError(t, err)
	require.Equal(t, "43484f42412d444154412d3100000000", hex.EncodeToString(block[:16]))

	got, err := ParseHeader(h.Encode())
	require.NoError(t, err)
	require.Equal(t, h, got)
}

func TestEveryAlteredByteIsRefused(t *testing.T) {
	h := golden()
	block, err := frame.Encode(magic, 1, h.Encode(), headerSize)
	require.NoError(t, err)
	for i := range block {
		bad := bytes.Clone(block)
		bad[i] ^= 0x20
		_, _, err := frame.Decode(magic, bad)
		require.Error(t, err, i)
	}
	text := h.Encode()
	for i := range text {
		bad := bytes.Clone(text)
		bad[i] ^= 0x20
		if got, err := ParseHeader(bad); err == nil {
			require.NotEqual(t, h, got, i) // another digit: another header, which the check then refuses
		}
	}
}

func FuzzParseHeader(f *testing.F) {
	h := golden()
	f.Add(h.Encode())
	f.Add(bytes.ToUpper(h.Encode()))
	f.Add(append(h.Encode(), '\n'))
	f.Add(fmt.Appendf(nil, headerText, "00", "11"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := ParseHeader(text)
		if err == nil {
			require.Equal(t, string(text), string(got.Encode()))
		}
	})
}
