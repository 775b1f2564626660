package release

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/choba-os/choba/image/layout"
)

// endless gives its beginning, then zeros up to 3 GiB, and counts what was asked of it.
type endless struct {
	head io.Reader
	left int64
	read int64
}

func (e *endless) Read(b []byte) (int, error) {
	b = b[:min(int64(len(b)), e.left)]
	if len(b) == 0 {
		return 0, io.EOF
	}
	n, err := e.head.Read(b)
	if errors.Is(err, io.EOF) {
		clear(b)
		n, err = len(b), nil
	}
	e.left, e.read = e.left-int64(n), e.read+int64(n)
	return n, err
}

// CVE-2026-34155 of RAUC: in a bundle of more than 2 GiB the signature covered only the first bytes. Here the signed
// manifest gives every size: larger than a slot is refused before a byte is read, also where 32 bits would have made it
// small again, and what lies behind the parts is refused after one byte of it.
func TestThreeGiB(t *testing.T) {
	v, m, parts, signed := testRelease(t)
	text, err := m.Encode()
	require.NoError(t, err)
	for _, part := range m.Parts() {
		for _, size := range []int64{3 << 30, 1<<32 + part.Size, 1<<31 + part.Size, -part.Size, 1<<63 - 1} {
			word := string(part.Part) + " "
			bad := strings.Replace(string(text), word+strconv.FormatInt(part.Size, 10)+" ", word+strconv.FormatInt(size, 10)+" ", 1)
			require.NotEqual(t, string(text), bad)
			sealed, err := note.Sign(&note.Note{Text: bad}, v.signers...)
			require.NoError(t, err)
			_, err = Check(v.root, sealed, Register{Hardware: HardwarePC})
			require.ErrorIs(t, err, ErrManifest, "%s of %d bytes", part.Part, size)
		}
	}

	good := bundle(t, m, signed, parts)
	for name, file := range map[string][]byte{
		"behind the end":        good,
		"in place of the parts": good[:layout.HeadSize],
		"in place of the head":  nil,
	} {
		e := &endless{head: bytes.NewReader(file), left: 3 << 30}
		b, err := OpenBundle(e)
		if err == nil {
			err = b.Extract(m, func(PartFile) (io.Writer, error) { return nil, nil })
			require.ErrorIs(t, err, ErrAltered, name)
		}
		require.Error(t, err, name)
		require.LessOrEqual(t, e.read, int64(len(good)+1), fmt.Sprintf("%s: no more is read", name))
	}
}
