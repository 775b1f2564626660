package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// rauc is RAUC, Debian's package, installing a payload into one of two raw slots on this machine. It needs loop
// devices, and squashfs in the running kernel; a container often has neither.
type rauc struct {
	dir   string
	loops []string
}

const raucManifest = `[update]
compatible=choba-bench
version=2

[bundle]
format=plain

[image.rootfs]
filename=system.img
`

const raucSystem = `[system]
compatible=choba-bench
bootloader=noop
bundle-formats=plain
mountprefix=%[1]s/mnt

[keyring]
path=%[1]s/cert.pem

[slot.rootfs.0]
device=%[2]s
type=raw
bootname=A

[slot.rootfs.1]
device=%[3]s
type=raw
bootname=B
`

// raucInstall runs service and client on a message bus of their own.
const raucInstall = `export DBUS_STARTER_BUS_TYPE=session
rauc service --conf=system.conf --override-boot-slot=A >service.log 2>&1 & service=$!
sleep 1
s=$(date +%s%N); rauc --conf=system.conf install out.raucb >install.log 2>&1; status=$?; e=$(date +%s%N)
kill $service
echo "nanoseconds $((e - s))"
exit $status`

// newRAUC makes two slots of slotSize bytes in dir.
func newRAUC(ctx context.Context, dir string, slotSize int64) (r *rauc, err error) {
	r = &rauc{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	for _, d := range []string{"mnt", "content"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return r, err
		}
	}
	for _, slot := range []string{"slot0", "slot1"} {
		path := filepath.Join(dir, slot)
		if err := errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, slotSize)); err != nil {
			return r, err
		}
		loop, err := r.run(ctx, "losetup", "-f", "--show", path)
		if err != nil {
			return r, err
		}
		r.loops = append(r.loops, strings.TrimSpace(loop))
	}
	if _, err := r.run(ctx, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem",
		"-subj", "/CN=INSECURE", "-days", "30"); err != nil {
		return r, err
	}
	conf := fmt.Sprintf(raucSystem, dir, r.loops[0], r.loops[1])
	return r, errors.Join(os.WriteFile(filepath.Join(dir, "system.conf"), []byte(conf), 0o644),
		os.WriteFile(filepath.Join(dir, "content/manifest.raucm"), []byte(raucManifest), 0o644))
}

// install makes a bundle of the payload and installs it. It returns the bundle's size and the time of the
// installation, the start of the service not counted.
func (r *rauc) install(ctx context.Context, payload []byte) (int64, time.Duration, error) {
	if err := os.WriteFile(filepath.Join(r.dir, "content/system.img"), payload, 0o644); err != nil {
		return 0, 0, err
	}
	bundle := filepath.Join(r.dir, "out.raucb")
	if err := os.RemoveAll(bundle); err != nil {
		return 0, 0, err
	}
	if _, err := r.run(ctx, "rauc", "--cert=cert.pem", "--key=key.pem", "bundle", "content", bundle); err != nil {
		return 0, 0, err
	}
	info, err := os.Stat(bundle)
	if err != nil {
		return 0, 0, err
	}
	text, err := r.run(ctx, "dbus-run-session", "--", "bash", "-c", raucInstall)
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(r.dir, "install.log"))
		return 0, 0, fmt.Errorf("%w\n%s", err, log)
	}
	var ns int64
	_, figure, _ := strings.Cut(text, "nanoseconds ")
	if _, err := fmt.Sscan(figure, &ns); err != nil {
		return 0, 0, fmt.Errorf("reading RAUC's time: %w in %q", err, text)
	}
	got := make([]byte, len(payload))
	f, err := os.Open(r.loops[1])
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, payload) {
		return 0, 0, errors.Join(errors.New("RAUC's slot does not hold the payload"), err)
	}
	return info.Size(), time.Duration(ns), nil
}

func (r *rauc) close() error {
	var errs []error
	for _, l := range r.loops {
		_, err := r.run(context.Background(), "losetup", "-d", l)
		errs = append(errs, err)
	}
	r.loops = nil
	return errors.Join(errs...)
}

func (r *rauc) run(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = r.dir
	var out, trouble bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &trouble
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(trouble.Bytes()))
	}
	return out.String(), nil
}
