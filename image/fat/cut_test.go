package fat

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/disk"
	"github.com/choba-os/choba/image/layout"
)

const sectorSize = 512

// write is one 512-byte sector on its way to the disk.
type write struct {
	at   int64
	data []byte
}

// recorder is a disk in memory that keeps every sector written, epoch by epoch: what lies between two flushes may
// reach a real disk in any order, or not at all.
type recorder struct {
	data   []byte
	epochs [][]write
	open   []write
	broken bool // reads give other bytes than were written
}

func (r *recorder) ReadAt(b []byte, off int64) (int, error) {
	n, err := bytes.NewReader(r.data).ReadAt(b, off)
	return n, err
}

func (r *recorder) WriteAt(b []byte, off int64) (int, error) {
	if off%sectorSize != 0 || len(b)%sectorSize != 0 || off+int64(len(b)) > int64(len(r.data)) {
		return 0, errors.New("not whole sectors of the disk")
	}
	copy(r.data[off:], b)
	if r.broken {
		r.data[off] ^= 1
	}
	for i := 0; i < len(b); i += sectorSize {
		r.open = append(r.open, write{off + int64(i), bytes.Clone(b[i : i+sectorSize])})
	}
	return len(b), nil
}

func (r *recorder) Sync() error {
	r.epochs = append(r.epochs, r.open)
	r.open = nil
	return nil
}

// layered is a disk with some sectors over it.
type layered struct {
	under []byte
	over  map[int64][]byte
}

func (l *layered) ReadAt(b []byte, off int64) (n int, err error) {
	n, err = bytes.NewReader(l.under).ReadAt(b, off)
	for at := off / sectorSize * sectorSize; at < off+int64(n); at += sectorSize {
		if s, ok := l.over[at]; ok {
			if at >= off {
				copy(b[at-off:n], s)
			} else {
				copy(b[:n], s[off-at:])
			}
		}
	}
	return n, err
}

func (l *layered) WriteAt(b []byte, off int64) (int, error) {
	for i := 0; i < len(b); i += sectorSize {
		l.over[off+int64(i)] = bytes.Clone(b[i : i+sectorSize])
	}
	return len(b), nil
}

func (l *layered) Sync() error { return nil }

// flat is the whole disk.
func (l *layered) flat() []byte {
	b := bytes.Clone(l.under)
	for at, s := range l.over {
		copy(b[at:], s)
	}
	return b
}

const (
	everySubset = 9    // sectors of an epoch up to which all subsets are tried
	samples     = 2500 // of subsets of a larger one, with a fixed seed
)

// cuts calls fn with every state that a cut of the power may leave: after each number of whole epochs, each prefix of
// the next one, and subsets of it. fn may write on what it gets.
func cuts(base []byte, epochs [][]write, fn func(l *layered, epoch int)) (points int) {
	random := rand.New(rand.NewPCG(1, 2))
	under := bytes.Clone(base)
	for k, epoch := range epochs {
		try := func(chosen func(i int) bool) {
			l := &layered{under, map[int64][]byte{}}
			for i, w := range epoch {
				if chosen(i) {
					l.over[w.at] = w.data
				}
			}
			points++
			fn(l, k)
		}
		for n := range len(epoch) {
			try(func(i int) bool { return i < n })
		}
		if len(epoch) <= everySubset {
			for set := range 1 << len(epoch) {
				try(func(i int) bool { return set>>i&1 == 1 })
			}
		} else {
			for range samples {
				share := random.IntN(101)
				try(func(int) bool { return random.IntN(100) < share })
			}
		}
		for _, w := range epoch {
			copy(under[w.at:], w.data)
		}
	}
	fn(&layered{under, map[int64][]byte{}}, len(epochs))
	return points + 1
}

// ours is the ESP as the flasher writes it.
func ours(t testing.TB, data []byte) []byte {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "esp"))
	require.NoError(t, err)
	defer f.Close()
	size := layout.Disk()[0].Size
	require.NoError(t, f.Truncate(size))
	require.NoError(t, disk.WriteESP(f, layout.Align, size, layout.BootFile, data))
	b, err := io.ReadAll(io.NewSectionReader(f, 0, size))
	require.NoError(t, err)
	return b
}

// theirs is an ESP that other people's programs made, with another file beside ours.
func theirs(t testing.TB, size int64, data, other []byte, args ...string) []byte {
	t.Helper()
	image := mkfs(t, size, args...)
	call(t, "mmd", "-i", image, "::/EFI", "::/EFI/BOOT")
	put(t, image, "/EFI/BOOT/BOOTX64.EFI", data)
	put(t, image, "/EFI/BOOT/another file.txt", other)
	b, err := os.ReadFile(image)
	require.NoError(t, err)
	return b
}

func content(t testing.TB, r io.ReaderAt, size int64, path string) []byte {
	t.Helper()
	v, err := Open(r, size)
	require.NoError(t, err)
	return readAll(t, v, path)
}

// fsck lets other people's program judge, and gives its complaints.
func fsck(t testing.TB, image []byte) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "judged")
	require.NoError(t, os.WriteFile(path, image, 0o600))
	defer os.Remove(path)
	out, _ := exec.Command(tool(t, "fsck.vfat"), "-n", path).CombinedOutput() // its exit code counts any complaint
	var said []string
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "fsck.fat ") && !strings.HasPrefix(line, path+": ") {
			said = append(said, line)
		}
	}
	require.Contains(t, string(out), path+": ", "it came to the end")
	return said
}

// harmless are the complaints that a cut may cause: clusters that nothing refers to, in one table or in both.
func harmless(line string) bool {
	return slices.ContainsFunc([]string{"Reclaimed ", "FATs differ but appear to be intact.", "Using first FAT.", "Automatically ", "Free cluster summary ",
		"Leaving filesystem unchanged.", "Reclaiming unconnected clusters."}, func(ok string) bool { return strings.HasPrefix(line, ok) })
}

// P3, A49: the boot image is replaced whole or not at all, wherever the power goes.
func TestReplaceCut(t *testing.T) {
	old, fresh, third := sample(200_003, 1), sample(260_500, 2), sample(52_000, 3)
	other := sample(5000, 4)
	total := 0
	for _, c := range []struct {
		name string
		base []byte
	}{
		{"ours, FAT32", ours(t, old)},
		{"mkfs FAT16, clusters of 2 KiB", theirs(t, 10<<20, old, other, "-F", "16", "-s", "4")},
		{"mkfs FAT16, one table", theirs(t, 5<<20, old, other, "-F", "16", "-s", "2", "-f", "1")},
		{"mkfs FAT32, clusters of 512", theirs(t, 36<<20, old, other, "-F", "32", "-s", "1")},
	} {
		t.Run(c.name, func(t *testing.T) {
			size := int64(len(c.base))
			r := &recorder{data: bytes.Clone(c.base)}
			require.NoError(t, Replace(r, size, layout.BootFile, bytes.NewReader(fresh), int64(len(fresh))))
			require.Empty(t, r.open, "all is flushed")
			after, before, again := 0, 0, 0
			points := cuts(c.base, r.epochs, func(l *layered, epoch int) {
				got := content(t, l, size, layout.BootFile)
				isOld, isNew := bytes.Equal(got, old), bytes.Equal(got, fresh)
				require.True(t, isOld || isNew, "epoch %d: neither the old file nor the new one", epoch)
				if isOld {
					before++
				} else {
					after++
				}
				if !strings.HasPrefix(c.name, "ours") {
					require.True(t, bytes.Equal(other, content(t, l, size, "EFI/BOOT/another file.txt")))
				}
				if (before+after)%11 != 0 {
					return
				}
				again++
				judge := again%40 == 0
				if judge {
					for _, line := range fsck(t, l.flat()) {
						require.True(t, harmless(line), "epoch %d: %s", epoch, line)
					}
				}
				require.NoError(t, Replace(l, size, layout.BootFile, bytes.NewReader(third), int64(len(third))), "epoch %d", epoch)
				require.True(t, bytes.Equal(third, content(t, l, size, layout.BootFile)))
				if judge {
					require.Empty(t, fsck(t, l.flat()))
				}
			})
			require.NotZero(t, before)
			require.NotZero(t, after)
			t.Logf("%d cut points in %d epochs: %d old, %d new; %d of them replaced again", points, len(r.epochs), before, after, again)
			total += points
		})
	}
	t.Logf("%d cut points in all", total)
}

// A cut while the next Replace tidies up what the last cut left.
func TestReplaceCutTwice(t *testing.T) {
	old, fresh, third := sample(30_000, 1), sample(9_000, 2), sample(12_000, 3)
	base := theirs(t, 5<<20, old, sample(100, 4), "-F", "16", "-s", "1")
	size := int64(len(base))
	r := &recorder{data: bytes.Clone(base)}
	require.NoError(t, Replace(r, size, layout.BootFile, bytes.NewReader(fresh), int64(len(fresh))))
	n, total := 0, 0
	cuts(base, r.epochs, func(l *layered, _ int) {
		if n++; n%97 != 0 {
			return
		}
		middle := l.flat()
		was := content(t, l, size, layout.BootFile)
		second := &recorder{data: bytes.Clone(middle)}
		require.NoError(t, Replace(second, size, layout.BootFile, bytes.NewReader(third), int64(len(third))))
		total += cuts(middle, second.epochs, func(l *layered, epoch int) {
			got := content(t, l, size, layout.BootFile)
			require.True(t, bytes.Equal(got, was) || bytes.Equal(got, third), "epoch %d", epoch)
		})
	})
	t.Logf("%d cut points in %d second replacements", total, n/97)
}

// Sectors of 4096 on a disk that writes 512 at a time: the name is not torn, be it in a gap or before what lies behind the
// folder's end.
func TestCreateCutInLargeSectors(t *testing.T) {
	const name = "sealed data of register 7.age"
	data := sample(5_000, 5)
	for _, first := range []byte{slotFree, slotEnd} { // of the slots 13 to 18; the next one is in use, or was once
		base := theirs(t, 20<<20, sample(3000, 1), sample(100, 2), "-F", "16", "-S", "4096", "-s", "1")
		size := int64(len(base))
		r := &recorder{data: bytes.Clone(base)}
		for i := range 24 {
			require.NoError(t, Create(r, size, "F"+string(rune('A'+i)), bytes.NewReader(data[:10]), 10))
		}
		v, err := Open(r, size)
		require.NoError(t, err)
		for i := int64(13); i <= 18; i++ {
			r.data[v.g.root.at+i*slotSize] = first
		}
		r.epochs = nil
		base = bytes.Clone(r.data)
		before, err := v.ReadDir("")
		require.NoError(t, err)
		require.NoError(t, Create(r, size, name, bytes.NewReader(data), int64(len(data))))
		cuts(base, r.epochs, func(l *layered, epoch int) {
			v, err := Open(l, size)
			require.NoError(t, err)
			list, err := v.ReadDir("")
			require.NoError(t, err)
			if len(list) != len(before) {
				require.Len(t, list, len(before)+1, "epoch %d", epoch)
				require.True(t, bytes.Equal(data, readAll(t, v, name)), "epoch %d", epoch)
			}
		})
	}
}

// What a file that is added leaves when the power goes: nothing, or all of it.
func TestCreateCut(t *testing.T) {
	data := sample(20_000, 5)
	total := 0
	for _, crowd := range []int{0, 13, 15, 16, 30} { // so that the gap is at various places of a sector
		base := theirs(t, 10<<20, sample(3000, 1), sample(100, 2), "-F", "16", "-s", "4")
		size := int64(len(base))
		r := &recorder{data: bytes.Clone(base)}
		for i := range crowd {
			require.NoError(t, Create(r, size, "F"+string(rune('A'+i%26))+string(rune('A'+i/26)), bytes.NewReader(data[:10]), 10))
		}
		base, r.epochs = bytes.Clone(r.data), nil
		require.NoError(t, Create(r, size, "sealed data of register 7.age", bytes.NewReader(data), int64(len(data))))
		with, without := 0, 0
		total += cuts(base, r.epochs, func(l *layered, epoch int) {
			v, err := Open(l, size)
			require.NoError(t, err)
			list, err := v.ReadDir("")
			require.NoError(t, err)
			switch len(list) {
			case crowd + 1: // and EFI
				without++
			case crowd + 2:
				with++
				require.True(t, bytes.Equal(data, readAll(t, v, "sealed data of register 7.age")), "epoch %d", epoch)
			default:
				t.Fatalf("epoch %d: %v", epoch, list)
			}
			if (with+without)%500 == 0 {
				for _, line := range fsck(t, l.flat()) {
					require.True(t, harmless(line), "epoch %d: %s", epoch, line)
				}
			}
		})
		require.NotZero(t, with)
		require.NotZero(t, without)
		require.Empty(t, fsck(t, r.data))
	}
	t.Logf("%d cut points", total)
}
