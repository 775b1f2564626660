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
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"io"
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

	CacheDir string    // where kernels are kept between builds; "" = kernel.DefaultCache()
	Progress io.Writer // told what is being done, a line every few seconds; nil = nobody
}

// Build makes the boot image. The first build on a machine compiles a kernel
// (10 to 20 minutes on two cores); later ones relink it (half a minute) when
// an input changed, or take it from the cache.
func Build(ctx context.Context, in Inputs) ([]byte, error) {
	return nil, errors.New("building the boot image: not written yet")
}
