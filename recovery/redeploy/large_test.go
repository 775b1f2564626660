package redeploy_test

import (
	"context"
	"io"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/source"
	"github.com/choba-os/choba/recovery/redeploy"
)

const vast = 3 << 30

// vastFolder is a stick whose every file is 3 GiB long: what is given, then zeros.
type vastFolder struct {
	files folder
	read  int64
}

func (f *vastFolder) Files(dir string) ([]string, error) { return f.files.Files(dir) }

func (f *vastFolder) Open(path string) (redeploy.File, error) {
	b, ok := f.files[path]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return vastFile{f, b}, nil
}

type vastFile struct {
	in   *vastFolder
	head []byte
}

func (f vastFile) Size() int64 { return vast }

func (f vastFile) ReadAt(b []byte, at int64) (int, error) {
	if at >= vast {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), vast-at)]
	clear(b)
	if at < int64(len(f.head)) {
		copy(b, f.head[at:])
	}
	f.in.read += int64(len(b))
	return len(b), nil
}

// TestThreeGiBStick: a stick of files of 3 GiB. Of each no more is read than a head; the good release among them is taken,
// and what lies behind its parts is not looked at.
func TestThreeGiBStick(t *testing.T) {
	m, v := ruined(t)
	bundle := v.Bundle(v.Release(10, 2, nil))
	f := &vastFolder{files: folder{
		source.LatestPath(v.Root.Product, release.HardwarePC): nil,
		"zeros.choba": nil, "bundles/cut.choba": v.Bundle(v.Release(11, 2, nil))[:70_000], "photo.raw": nil,
	}}
	stick := redeploy.StickOf(v.Root.Product, release.HardwarePC, func(context.Context) (redeploy.Folder, error) { return f, nil })
	d := redeploy.Deployer{Register: m.Register(v)}
	_, err := d.From(context.Background(), stick, false)
	require.Error(t, err)
	require.Less(t, f.read, int64(4<<20))
	n, _ := boots(t, m, v)
	require.Empty(t, n)

	f.files["good.choba"], f.read = bundle, 0
	done, err := d.From(context.Background(), stick, false)
	require.NoError(t, err)
	require.EqualValues(t, 10, done.Release.Version)
	require.Less(t, f.read, int64(8<<20))
}
