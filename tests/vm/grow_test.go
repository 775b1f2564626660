package vm

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/gpt"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/tests/bench"
)

// A register's disk is larger than the image that was flashed: at the first boot the data partition takes the rest, and
// its file system with it. It is said once. A disk that is copied onto a larger one is filled in the same way, with
// what was sold before on it. The image is the one with the burglar in it, who reads the file system's size.
func TestDataFillsTheDisk(t *testing.T) {
	t.Parallel()
	const first, second = 4096, 6144
	r := register(t, func(c *bench.Config) {
		c.Disk, c.Vars, c.DiskSize = filepath.Join(test, "disk.img"), filepath.Join(test, "vars.fd"), first
	})
	boot := func() string {
		on(t, r, `probe: end`, stop)
		wait(t, r, ready)
		text := r.Text()
		r.Cut()
		for _, line := range regexp.MustCompile(`choba-init: (the data partition|let the).*|probe: room.*`).FindAllString(text, -1) {
			t.Log(strings.TrimSpace(line))
		}
		return text
	}
	said := `choba-init: the data partition now has `

	text := boot()
	require.Contains(t, text, fmt.Sprintf("%s%d MiB", said, dataMiB(t, first)))
	require.InDelta(t, dataMiB(t, first), roomMiB(t, text), 0.05*first)

	// The worst that a cut can leave: a first header that is noise. The firmware takes the second table.
	tool(t, "qemu-io", "-f", "qcow2", "-c", "write -q -P 0xa5 512 512", r.DiskFile())
	text = boot()
	require.NotContains(t, text, said)
	require.NotContains(t, text, "let the data partition fill the disk")
	require.InDelta(t, dataMiB(t, first), roomMiB(t, text), 0.05*first)

	tool(t, "qemu-img", "resize", "-q", r.DiskFile(), fmt.Sprintf("%dM", second))
	text = boot()
	require.Contains(t, text, fmt.Sprintf("%s%d MiB", said, dataMiB(t, second)))
	require.InDelta(t, dataMiB(t, second), roomMiB(t, text), 0.05*second)
	require.Regexp(t, `probe: journal: whole, \d+ entries`, text)
	require.NotContains(t, text, "first boot: making")

	// What stands on the disk in the end reads as if it had been made for its size.
	raw := filepath.Join(short(t), "disk.img")
	tool(t, "qemu-img", "convert", "-O", "raw", r.DiskFile(), raw)
	want, err := gpt.Place(layout.Disk(), second*layout.MiB)
	require.NoError(t, err)
	got := open(t, raw)
	for _, p := range want {
		require.Equal(t, p, got.parts[p.Name])
	}
}

// dataMiB is the size of the data partition on a disk of this many MiB.
func dataMiB(t *testing.T, disk int64) int64 {
	parts, err := gpt.Place(layout.Disk(), disk*layout.MiB)
	require.NoError(t, err)
	return parts[len(parts)-1].Size / layout.MiB
}

// roomMiB is the size of the file system at /data, as the burglar read it.
func roomMiB(t *testing.T, text string) int64 {
	m := regexp.MustCompile(`probe: room at=/data MiB=(\d+)`).FindStringSubmatch(text)
	require.NotNil(t, m)
	n, err := strconv.ParseInt(m[1], 10, 64)
	require.NoError(t, err)
	return n
}
