// Package bootimage makes the boot image: the one signed PE file that the
// firmware starts. It is the kernel with its command line, its IPE boot
// policy, its trusted certificates and an initramfs with one program inside,
// signed first for kexec and then for the firmware.
//
// It is not the disk and not a slot: it writes no partition and knows no
// release. A slot carries the same file.
//
// The rule that keeps it small: everything that decides what the register
// executes before the switch of roots is put together here, and nothing else.
package bootimage

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"github.com/choba-os/choba/image/authenticode"
	"github.com/choba-os/choba/image/kernel"
)

// Signer is a private key with the certificate that names it.
type Signer struct {
	Key  crypto.Signer
	Cert *x509.Certificate
}

// Inputs are all that a boot image depends on, beside the kernel's source and
// fragments. The same inputs give the same bytes.
type Inputs struct {
	DB     Signer // the firmware trusts it (Secure Boot's db)
	Kexec  Signer // the kernel trusts it for kernels to jump into
	Verity Signer // the kernel trusts it for root hashes and IPE policies

	Recovery []byte // the recovery program, a static ELF; becomes /init
	Trust    []byte // trust.txt; becomes /etc/choba/trust.txt
	Source   []byte // update.json, where recovery looks for releases; becomes /etc/choba/update.json; nil = none

	CacheDir string    // where kernels are kept between builds; "" = kernel.DefaultCache()
	Progress io.Writer // told what is being done, a line every few seconds; nil = nobody
}

// Build makes the boot image. The first build on a machine compiles a kernel
// (10 to 20 minutes on two cores); later ones relink it (half a minute) when
// an input changed, or take it from the cache.
func Build(ctx context.Context, in Inputs) ([]byte, error) {
	linked, err := in.link(ctx)
	if err != nil {
		return nil, fmt.Errorf("building the boot image: %w", err)
	}
	if err := fewSections(linked); err != nil {
		return nil, fmt.Errorf("building the boot image: %w", err)
	}
	// The order matters: kexec looks at the first signature only, the firmware
	// at all of them.
	for _, s := range []Signer{in.Kexec, in.DB} {
		if linked, err = authenticode.Sign(linked, s.Key, s.Cert); err != nil {
			return nil, fmt.Errorf("building the boot image: %w", err)
		}
	}
	return linked, nil
}

// maxSections is less than what every firmware starts: some refuse a PE file of more than 25 sections, others have no
// room for more in its header. A kernel has three.
const maxSections = 16

func fewSections(image []byte) error {
	if len(image) < 0x40 {
		return errors.New("not a PE file")
	}
	at := int64(binary.LittleEndian.Uint32(image[0x3c:])) + 6 // the COFF header's NumberOfSections
	if at+2 > int64(len(image)) {
		return errors.New("not a PE file")
	}
	if n := binary.LittleEndian.Uint16(image[at:]); n > maxSections {
		return fmt.Errorf("%d sections, at most %d: firmware would not start it", n, maxSections)
	}
	return nil
}

// ID is the content of a boot.id: 64 hex digits and a line feed that name everything in
// the boot image but its signatures. The image holds it at IDPath, and a slot that was
// built with it beside its copy of the image: recovery compares the two to see whether
// it runs in the slot's own kernel. Image and id are made of the same inputs; nothing
// but this function makes an id.
func ID(ctx context.Context, in Inputs) ([]byte, error) {
	k, err := in.kernel(nil)
	if err != nil {
		return nil, fmt.Errorf("naming the boot image: %w", err)
	}
	return in.id(ctx, k)
}

// id names the kernel with an initramfs that lacks the id itself.
func (in Inputs) id(ctx context.Context, without kernel.Inputs) ([]byte, error) {
	key, err := in.builder().Key(ctx, without)
	if err != nil {
		return nil, fmt.Errorf("naming the boot image: %w", err)
	}
	return []byte(key + "\n"), nil
}

func (in Inputs) builder() kernel.Builder {
	return kernel.Builder{Cache: in.CacheDir, Progress: in.Progress}
}

// link makes the unsigned kernel with everything inside.
func (in Inputs) link(ctx context.Context) ([]byte, error) {
	k, err := in.kernel(nil)
	if err != nil {
		return nil, err
	}
	id, err := in.id(ctx, k)
	if err != nil {
		return nil, err
	}
	if k, err = in.kernel(id); err != nil {
		return nil, err
	}
	return in.builder().Build(ctx, k)
}

// kernel is what goes into the kernel; id is empty while it is being found.
func (in Inputs) kernel(id []byte) (k kernel.Inputs, err error) {
	for name, s := range map[string]Signer{"db": in.DB, "kexec": in.Kexec, "verity": in.Verity} {
		if s.Key == nil || s.Cert == nil {
			return k, fmt.Errorf("the %s key is missing", name)
		}
	}
	policy, err := RunPolicy(in.Verity)
	if err != nil {
		return k, err
	}
	var more []File
	for _, f := range []File{{SourcePath, in.Source}, {IDPath, id}} {
		if len(f.Data) > 0 {
			more = append(more, f)
		}
	}
	initramfs, err := Initramfs(in.Recovery, in.Trust, policy, more...)
	if err != nil {
		return k, err
	}
	return kernel.Inputs{Trusted: Trusted(in.Verity.Cert, in.Kexec.Cert), BootPolicy: BootPolicy(), Initramfs: initramfs}, nil
}

// Trusted is the kernel's built-in key ring as it is compiled in.
func Trusted(certs ...*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range certs {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return b.Bytes()
}

// PCR4 foretells the TPM's register 4 (SHA-256 bank) after the firmware has
// started this boot image as its first choice: the firmware's announcement,
// the separator, and the file's Authenticode hash (TCG PC Client Platform
// Firmware Profile 1.06, section 3.3.4.5). A boot option that was tried before
// and failed gives another value.
func PCR4(efi []byte) ([sha256.Size]byte, error) {
	image, err := authenticode.Hash(efi)
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("foretelling PCR 4: %w", err)
	}
	var pcr [sha256.Size]byte
	for _, event := range [][sha256.Size]byte{
		sha256.Sum256([]byte("Calling EFI Application from Boot Option")),
		sha256.Sum256(binary.LittleEndian.AppendUint32(nil, 0)),
		image,
	} {
		pcr = sha256.Sum256(append(pcr[:], event[:]...))
	}
	return pcr, nil
}

// checkProgram refuses what the kernel could not start as its first program.
func checkProgram(elf []byte) error {
	if !bytes.HasPrefix(elf, []byte("\x7fELF\x02\x01")) {
		return errors.New("the recovery program is not a 64-bit ELF file")
	}
	return nil
}
