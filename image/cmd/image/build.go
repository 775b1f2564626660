package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/image/bootimage"
	"github.com/choba-os/choba/image/cmd/devrepo"
	"github.com/choba-os/choba/image/disk"
	"github.com/choba-os/choba/image/firmware"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/keys/dev"
	"github.com/choba-os/choba/keys/trust"
)

// job is one build under way: the configuration and what the steps have made.
type job struct {
	config
	keys  *dev.Keys
	trust trust.Root

	repositoryRoot []byte // whose metadata a register believes: root.json
	source         []byte // where it looks for releases: update.json

	programs map[string]string // package → built file
	boot     []byte
	bootID   []byte
	ext4     []byte
	pack     []byte
	system   string // path of the EROFS
	tree     []byte
	manifest release.Manifest
	sbom     []byte
	signed   []byte
	release  release.Release
}

func (c config) build(ctx context.Context) error {
	j := &job{config: c}
	if c.probe {
		fmt.Fprintln(c.log, "image: TEST IMAGE with the probe inside; it is not for any register")
	}
	if c.fault != "" {
		fmt.Fprintln(c.log, "image: TEST IMAGE that fails on purpose:", c.fault)
	}
	unlock, err := lock(c.out)
	if err != nil {
		return err
	}
	defer unlock()
	start := time.Now()
	for _, s := range j.steps() {
		began := time.Now()
		said, err := s.run(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Fprintf(c.log, "image: %-18s %6.1f s  %s\n", s.name, time.Since(began).Seconds(), said)
	}
	fmt.Fprintf(c.log, "image: done in %.1f s, results in %s\n", time.Since(start).Seconds(), c.out)
	return cache{c.cache}.prune()
}

// step is one part of the build: what it did, in a few words.
type step struct {
	name string
	run  func(context.Context) (said string, err error)
}

// steps are all of them, in their order.
func (j *job) steps() []step {
	all := []step{
		{"keys", j.stepKeys},
		{"programs", j.stepPrograms},
		{"boot image", j.stepBoot},
		{"empty file system", j.stepExt4},
		{"store pack", j.stepPack},
		{"system", j.stepSystem},
		{"release", j.stepRelease},
		{"bundle", j.stepBundle},
	}
	if j.config.bundle {
		return all
	}
	return append(all, step{"disk", j.stepDisk}, step{"firmware variables", j.stepFirmware})
}

// lock makes a second build with the same results folder wait for the first.
func lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("waiting for another build in %s: %w", dir, err)
	}
	return func() { f.Close() }, nil
}

func (j *job) stepKeys(context.Context) (said string, err error) {
	if j.keys, err = dev.Ensure(j.config.keys); err != nil {
		return "", err
	}
	if j.trust, err = trust.Parse(j.keys.Trust); err != nil {
		return "", err
	}
	dir := filepath.Join(j.out, "keys")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if j.repositoryRoot, err = devrepo.Root(j.keys); err != nil {
		return "", err
	}
	if j.source, err = devrepo.Source(j.keys, j.server); err != nil {
		return "", err
	}
	for _, f := range append(j.keys.Public(), dev.File{Name: "root.json", Data: j.repositoryRoot}, dev.File{Name: "update.json", Data: j.source}) {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o644); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("INSECURE development keys of %s", j.keys.Dir), nil
}

func (j *job) stepPrograms(ctx context.Context) (said string, err error) {
	built := 0
	j.programs, built, err = j.buildPrograms(ctx)
	return fmt.Sprintf("%d built, %d unchanged", built, len(j.programs)-built), err
}

func (j *job) stepBoot(ctx context.Context) (said string, err error) {
	recovery, err := os.ReadFile(j.programs[j.recovery()])
	if err != nil {
		return "", err
	}
	signer := func(p dev.Pair) bootimage.Signer { return bootimage.Signer{Key: p.Key, Cert: p.Cert} }
	in := bootimage.Inputs{
		DB: signer(j.keys.DB), Kexec: signer(j.keys.Kexec), Verity: signer(j.keys.Verity),
		Recovery: recovery, Trust: j.keys.Trust, Source: j.source, Progress: j.log,
	}
	if j.boot, err = bootimage.Build(ctx, in); err != nil {
		return "", err
	}
	if j.bootID, err = bootimage.ID(ctx, in); err != nil {
		return "", err
	}
	return size(len(j.boot)), j.write("boot.efi", j.boot)
}

func (j *job) stepExt4(ctx context.Context) (said string, err error) {
	j.ext4, _, err = j.emptyExt4(ctx)
	return size(len(j.ext4)), err
}

func (j *job) stepSystem(ctx context.Context) (string, error) {
	items, err := j.items()
	if err != nil {
		return "", err
	}
	path, hit, err := j.erofs(ctx, items)
	if err != nil {
		return "", err
	}
	j.system = path
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Size() > maxSystem {
		return "", fmt.Errorf("EROFS of %s, at most %s", size(int(info.Size())), size(maxSystem))
	}
	said := size(int(info.Size()))
	if hit {
		said += ", unchanged"
	}
	return said, nil
}

func (j *job) stepDisk(context.Context) (string, error) {
	f, err := os.Open(j.system)
	if err != nil {
		return "", err
	}
	defer f.Close()
	path := filepath.Join(j.out, "disk.img")
	err = disk.Build(path, disk.Contents{Boot: j.boot, Release: j.release, Signed: j.signed, EROFS: f, Tree: readerAt(j.tree)})
	return path, err
}

// ovmfVars is the empty variable store that Debian's ovmf package brings.
const ovmfVars = "/usr/share/OVMF/OVMF_VARS_4M.fd"

func (j *job) stepFirmware(context.Context) (string, error) {
	empty, err := os.ReadFile(ovmfVars)
	if err != nil {
		return "", err
	}
	store, err := firmware.Parse(empty)
	if err != nil {
		return "", err
	}
	store.Enrol(j.keys.PK.Cert, j.keys.KEK.Cert, j.keys.DB.Cert)
	image, err := store.Bytes()
	if err != nil {
		return "", err
	}
	return "Secure Boot on, our PK, KEK and db", j.write("vars.fd", image)
}

// write replaces a result whole.
func (j *job) write(name string, data []byte) error {
	path := filepath.Join(j.out, name)
	if err := os.WriteFile(path+".tmp", data, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

func size(n int) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
