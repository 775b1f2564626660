package kernel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// tree is one unpacked source with its object tree.
type tree struct {
	cache    string
	dir      string // of the source; the objects are below it in object/
	source   string // tar.xz
	config   []byte // joined fragments
	key      string
	progress io.Writer
	started  time.Time
}

func (t *tree) object(parts ...string) string {
	return filepath.Join(append([]string{t.dir, "object"}, parts...)...)
}

// build runs with the lock held.
func (t *tree) build(ctx context.Context, in Inputs) ([]byte, error) {
	if err := t.unpack(ctx); err != nil {
		return nil, err
	}
	inputs := map[string][]byte{
		"trusted.pem": in.Trusted, "boot.pol": in.BootPolicy, "initramfs.cpio": in.Initramfs, "all.config": t.config,
	}
	if err := os.MkdirAll(t.object("choba"), 0o755); err != nil {
		return nil, fmt.Errorf("making the object tree: %w", err)
	}
	for name, content := range inputs {
		if err := writeChanged(t.object("choba", name), content); err != nil {
			return nil, fmt.Errorf("placing inputs: %w", err)
		}
	}
	if err := t.configure(ctx); err != nil {
		return nil, err
	}
	if err := t.make(ctx, "bzImage"); err != nil {
		return nil, err
	}
	image, err := os.ReadFile(t.object("arch", "x86", "boot", "bzImage"))
	if err != nil {
		return nil, fmt.Errorf("reading the result: %w", err)
	}
	t.say("kernel: finished, %d bytes", len(image))
	return image, nil
}

// unpack makes the source folder in one step: a folder with its final name is
// complete.
func (t *tree) unpack(ctx context.Context) error {
	if _, err := os.Stat(t.dir); err == nil {
		return nil
	}
	t.say("kernel: unpacking %s", filepath.Base(t.source))
	partial := t.dir + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return fmt.Errorf("clearing an unfinished source: %w", err)
	}
	if err := os.MkdirAll(partial, 0o755); err != nil {
		return fmt.Errorf("making the source folder: %w", err)
	}
	cmd := exec.CommandContext(ctx, "tar", "-xf", t.source, "-C", partial, "--strip-components=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("unpacking %s: %w: %s", t.source, err, bytes.TrimSpace(out))
	}
	return os.Rename(partial, t.dir)
}

// configure runs Kconfig when the tree was configured for another key, or when
// its configuration does not pass the gate, and lets nothing else pass.
func (t *tree) configure(ctx context.Context) error {
	stamp := t.object("choba", "configured")
	if text, err := os.ReadFile(stamp); err == nil && string(text) == t.key && t.gate() == nil {
		return nil
	}
	t.say("kernel: configuring")
	if err := os.RemoveAll(stamp); err != nil {
		return fmt.Errorf("configuring: %w", err)
	}
	if err := t.make(ctx, "allnoconfig"); err != nil {
		return err
	}
	if err := t.gate(); err != nil {
		return err
	}
	return os.WriteFile(stamp, []byte(t.key), 0o644)
}

func (t *tree) gate() error {
	finished, err := os.ReadFile(t.object(".config"))
	if err != nil {
		return fmt.Errorf("reading the finished configuration: %w", err)
	}
	return Gate(t.config, finished)
}

// environment is all that make sees beside PATH and HOME: names and times that
// would differ from build to build are fixed.
func environment() []string {
	return []string{
		"KBUILD_BUILD_TIMESTAMP=2026-01-01 00:00:00 UTC",
		"KBUILD_BUILD_USER=choba",
		"KBUILD_BUILD_HOST=choba",
		"KBUILD_BUILD_VERSION=1",
		"LC_ALL=C",
		"TZ=UTC",
	}
}

// make runs one target. The object tree lies inside the source tree: kbuild
// then uses relative paths alone.
func (t *tree) make(ctx context.Context, target string) error {
	logPath := filepath.Join(t.cache, "build.log")
	log, err := os.Create(logPath)
	if err != nil {
		return fmt.Errorf("opening the build log: %w", err)
	}
	defer log.Close()
	counter := &counter{log: log}
	cmd := exec.CommandContext(ctx, "make", fmt.Sprintf("-j%d", runtime.NumCPU()), "O=object", target)
	cmd.Dir = t.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, environment()...)
	cmd.Env = append(cmd.Env, "KCONFIG_ALLCONFIG="+t.object("choba", "all.config"))
	cmd.Stdout, cmd.Stderr = counter, counter
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	stop := t.report(counter)
	err = cmd.Run()
	stop()
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("make %s: %w (whole log: %s)\n%s", target, err, logPath, counter.tail())
	}
	return nil
}

// writeChanged leaves a file alone that has the content already: make goes by
// the time of change.
func writeChanged(path string, content []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	return os.WriteFile(path, content, 0o644)
}

func (t *tree) say(format string, args ...any) {
	elapsed := time.Since(t.started).Round(time.Second)
	fmt.Fprintf(t.progress, "%s (%s)\n", fmt.Sprintf(format, args...), elapsed)
}

// lock waits for other builds in the same cache.
func (t *tree) lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(t.cache, 0o755); err != nil {
		return nil, fmt.Errorf("making the cache: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(t.cache, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the lock: %w", err)
	}
	for waited := false; ; waited = true {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("taking the lock: %w", err)
		}
		if !waited {
			t.say("kernel: another build is running, waiting")
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// lines is a text's last n lines.
func lines(text string, n int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-n):], "\n")
}
