package bootimage

import (
	"bytes"
	_ "embed" // the policies' texts
	"errors"
	"fmt"

	"github.com/u-root/mkuimage/cpio"

	"github.com/choba-os/choba/image/pkcs7"
)

//go:embed policy/boot.pol
var bootPolicy string

//go:embed policy/run.pol
var runPolicy string

// Paths inside the initramfs.
const (
	ProgramPath   = "/init"
	TrustPath     = "/etc/choba/trust.txt"
	RunPolicyPath = "/etc/choba/run.p7b"
	SourcePath    = "/etc/choba/update.json"
	IDPath        = "/etc/choba/boot.id"
)

// File is one more read-only file of the initramfs.
type File struct {
	Path string // absolute, in a folder that is there
	Data []byte
}

// BootPolicy is the IPE policy that is compiled into the kernel: the initramfs
// and signed verity volumes may execute, kernels come from such volumes, and
// nothing comes with them.
func BootPolicy() []byte { return []byte(bootPolicy) }

// RunPolicy is the signed IPE policy that recovery activates before it switches
// roots. It drops the initramfs; its version is higher, so that the boot policy
// cannot come back.
func RunPolicy(verity Signer) ([]byte, error) {
	p, err := pkcs7.Embed([]byte(runPolicy), verity.Key, verity.Cert)
	if err != nil {
		return nil, fmt.Errorf("signing the run-time policy: %w", err)
	}
	return p, nil
}

// Initramfs packs recovery and what it must know into a cpio archive. A
// built-in initramfs replaces the kernel's own tiny one, so the two nodes
// that Go's run time opens before main must be in it.
func Initramfs(recovery, trust, policy []byte, more ...File) ([]byte, error) {
	if err := checkProgram(recovery); err != nil {
		return nil, fmt.Errorf("packing the initramfs: %w", err)
	}
	if len(trust) == 0 || len(policy) == 0 {
		return nil, errors.New("packing the initramfs: trust list or policy is missing")
	}
	var out bytes.Buffer
	w := cpio.Newc.Writer(&out)
	for i, r := range records(recovery, trust, policy, more) {
		r.Ino, r.NLink = uint64(i+1), 1
		if err := w.WriteRecord(r); err != nil {
			return nil, fmt.Errorf("packing the initramfs: %w", err)
		}
	}
	if err := cpio.WriteTrailer(w); err != nil {
		return nil, fmt.Errorf("packing the initramfs: %w", err)
	}
	return out.Bytes(), nil
}

// records are in the order in which the kernel makes them: folders first.
// Owner and times are 0.
func records(recovery, trust, policy []byte, more []File) []cpio.Record {
	var rs []cpio.Record
	for _, dir := range []string{"dev", "etc", "etc/choba", "proc", "run", "slot", "sys", "tmp"} {
		rs = append(rs, cpio.Directory(dir, 0o755))
	}
	rs = append(rs,
		cpio.CharDev("dev/console", 0o600, 5, 1),
		cpio.CharDev("dev/null", 0o666, 1, 3),
		cpio.StaticFile(TrustPath[1:], string(trust), 0o444),
		cpio.StaticFile(RunPolicyPath[1:], string(policy), 0o444),
	)
	for _, f := range more {
		rs = append(rs, cpio.StaticFile(f.Path[1:], string(f.Data), 0o444))
	}
	return append(rs, cpio.StaticFile(ProgramPath[1:], string(recovery), 0o555))
}
