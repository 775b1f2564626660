package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/repository"
	"github.com/choba-os/choba/keys/dev"
	"github.com/choba-os/choba/keys/trust"
	"github.com/choba-os/choba/services/update/stage"
)

// change is a line of code more in one service, in a file of its own: the release that is measured as a small change.
const (
	changedFile = "services/register/changed.go"
	change      = "package register\n\nimport \"time\"\n\nvar _ = time.Now()\n"
)

// update measures putting a release into a slot on this machine: all of it, and after a change of one service; beside
// it RAUC, with the same bytes. Both sides read a folder of this machine and write a file of this machine.
func update(ctx context.Context, o options, out io.Writer) error {
	dir, err := os.MkdirTemp("", "choba-update")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	changed, err := changedRelease(ctx, dir)
	if err != nil {
		return err
	}
	old, err := openRelease(filepath.Join(o.image, "release.choba"))
	if err != nil {
		return err
	}
	full, err := putAll(ctx, dir, out, o.runs, "all of it into an empty slot", changed, nil)
	if err != nil {
		return err
	}
	if _, err := putAll(ctx, dir, out, o.runs, "after one line more in the register service", changed, &old); err != nil {
		return err
	}
	payload := make([]byte, full.Total)
	f, err := os.Open(filepath.Join(dir, "slot"))
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.ReadAt(payload, 0); err != nil {
		return err
	}
	return besideRAUC(ctx, filepath.Join(dir, "rauc"), out, o.runs, payload)
}

// bundleFile is a release in one file.
type bundleFile struct {
	path string
	stage.Release
}

func openRelease(path string) (bundleFile, error) {
	b := bundleFile{path: path}
	f, err := os.Open(path)
	if err != nil {
		return b, err
	}
	defer f.Close()
	bundle, err := release.OpenBundle(f)
	if err != nil {
		return b, err
	}
	keys, err := dev.DefaultDir()
	if err != nil {
		return b, err
	}
	k, err := dev.Ensure(keys)
	if err != nil {
		return b, err
	}
	root, err := trust.Parse(k.Trust)
	if err != nil {
		return b, err
	}
	r, err := release.Check(root, bundle.Signed, release.Register{Hardware: release.HardwarePC})
	b.Release = stage.Release{Signed: bundle.Signed, Manifest: r.Manifest, Bundle: filepath.Base(path)}
	return b, err
}

// changedRelease builds the next version from a copy of the sources with one line more.
func changedRelease(ctx context.Context, dir string) (bundleFile, error) {
	const script = `git ls-files -z | xargs -0 cp --parents -t "$1/src" && printf %s "$2" >"$1/src/$3"`
	if err := os.Mkdir(filepath.Join(dir, "src"), 0o755); err != nil {
		return bundleFile{}, err
	}
	for _, c := range []*exec.Cmd{
		exec.CommandContext(ctx, "bash", "-c", script, "copy", dir, change, changedFile),
		exec.CommandContext(ctx, "go", "run", "./image/cmd/image", "-root", filepath.Join(dir, "src"), "-out", filepath.Join(dir, "new"), "-bundle", "-version", "2"),
	} {
		if text, err := c.CombinedOutput(); err != nil {
			return bundleFile{}, fmt.Errorf("building a changed release: %w\n%s", err, text)
		}
	}
	return openRelease(filepath.Join(dir, "new/release.choba"))
}

// putAll writes a release into a slot that is empty, or holds old while old runs, and prints the median run.
func putAll(ctx context.Context, dir string, out io.Writer, runs int, title string, r bundleFile, old *bundleFile) (stage.Counts, error) {
	var counts stage.Counts
	var times []time.Duration
	for range runs {
		slot, err := newSlot(filepath.Join(dir, "slot"), old)
		if err != nil {
			return counts, err
		}
		s := stage.Stager{Source: repository.Folder{Dir: filepath.Dir(r.path)}, Slot: slot, Size: layout.SlotSize}
		if old != nil {
			running, err := newSlot(filepath.Join(dir, "running"), old)
			if err != nil {
				return counts, errors.Join(err, slot.Close())
			}
			defer running.Close()
			s.Running = running
		}
		from := time.Now()
		counts, err = s.Put(ctx, r.Release)
		times = append(times, time.Since(from))
		if err = errors.Join(err, slot.Close()); err != nil {
			return counts, err
		}
	}
	fmt.Fprintf(out, "Choba, %s: %.2f s; fetched %.2f MiB of %.1f MiB (%.1f %%), written %.1f MiB\n", title, middle(times).Seconds(),
		mib(counts.Fetched), mib(counts.Total), 100*float64(counts.Fetched)/float64(counts.Total), mib(counts.Written))
	return counts, nil
}

// newSlot is a file as large as a slot, empty or with a release in it.
func newSlot(path string, old *bundleFile) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(layout.SlotSize); err != nil || old == nil {
		return f, err
	}
	from, err := os.Open(old.path)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	defer from.Close()
	n := old.Manifest.EROFS.Size + old.Manifest.Tree.Size
	_, err = io.Copy(io.NewOffsetWriter(f, 0), io.NewSectionReader(from, layout.HeadSize, n))
	return f, errors.Join(err, f.Sync())
}

func besideRAUC(ctx context.Context, dir string, out io.Writer, runs int, payload []byte) error {
	r, err := newRAUC(ctx, dir, layout.SlotSize)
	if err != nil {
		fmt.Fprintf(out, "RAUC was not measured: %v\n", err)
		return nil
	}
	defer r.close()
	var times []time.Duration
	var size int64
	for range runs {
		var took time.Duration
		if size, took, err = r.install(ctx, payload); err != nil {
			fmt.Fprintf(out, "RAUC was not measured: %v\n", err)
			return nil
		}
		times = append(times, took)
	}
	fmt.Fprintf(out, "RAUC 1.8, plain bundle, the same bytes: %.2f s; bundle of %.1f MiB\n", middle(times).Seconds(), mib(size))
	return nil
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// middle is the median.
func middle(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}
