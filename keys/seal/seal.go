// Package seal keeps the data key in the TPM: it measures what recovery chose,
// seals a secret to the boot image (PCR 4), the Secure Boot state (PCR 7) and a
// measurement that the vendor has signed in advance (PCR 13), and opens it again.
//
// It is not a TPM library and knows no disk, no release and no file of the
// machine; a caller hands it the root hash as text and the bytes to keep.
//
// The rule that keeps it small: one kind of object, one policy, one PCR of our
// own. Whatever else a TPM can do belongs somewhere else.
package seal

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"golang.org/x/sys/unix"
)

// Device is where the kernel's TPM resource manager is reached.
const Device = "/dev/tpmrm0"

// Digest is a SHA-256 value of a PCR. Its zero value is an untouched PCR.
type Digest [sha256.Size]byte

// String is the digest as lower-case hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Boot is what the firmware measured: the boot image and the Secure Boot state.
type Boot struct {
	Image      Digest // PCR 4
	SecureBoot Digest // PCR 7
}

// The PCRs used, all in the SHA-256 bank.
const (
	pcrImage      = 4
	pcrSecureBoot = 7
	pcrChoice     = 13
)

// TPM is an open TPM 2.0. It must not be used by two goroutines at once.
type TPM struct {
	tpm   transport.TPM
	close func() error
}

// Open opens the TPM character device at path, usually Device.
func Open(path string) (*TPM, error) {
	// A blocking descriptor on purpose: the driver answers a non-blocking
	// reader with 0 bytes while the command still runs, and os.OpenFile
	// would make it non-blocking.
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening TPM %s: %w", path, err)
	}
	return &TPM{tpm: blocking(fd), close: func() error { return unix.Close(fd) }}, nil
}

// New uses a TPM behind any transport: tests give it an emulator's.
func New(t transport.TPM) *TPM {
	return &TPM{tpm: t, close: func() error { return nil }}
}

// Close gives the TPM back.
func (t *TPM) Close() error { return t.close() }

// Measure extends PCR 13 with e. A PCR cannot be taken back: call it when the
// choice is final.
func (t *TPM) Measure(e Event) error {
	d := e.digest()
	_, err := tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(pcrChoice), Auth: tpm2.PasswordAuth(nil)},
		Digests:   tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: d[:]}}},
	}.Execute(t.tpm)
	if err != nil {
		return fmt.Errorf("measuring into PCR %d: %w", pcrChoice, err)
	}
	return nil
}

// Boot reads PCR 4 and 7 as they are now.
func (t *TPM) Boot() (Boot, error) {
	image, err := t.read(pcrImage)
	if err != nil {
		return Boot{}, err
	}
	state, err := t.read(pcrSecureBoot)
	return Boot{Image: image, SecureBoot: state}, err
}

// Choice reads PCR 13 as it is now; compare it with Predict.
func (t *TPM) Choice() (Digest, error) { return t.read(pcrChoice) }

func (t *TPM) read(pcr uint) (Digest, error) {
	rsp, err := tpm2.PCRRead{PCRSelectionIn: selection(pcr)}.Execute(t.tpm)
	if err != nil {
		return Digest{}, fmt.Errorf("reading PCR %d: %w", pcr, err)
	}
	if len(rsp.PCRValues.Digests) != 1 || len(rsp.PCRValues.Digests[0].Buffer) != sha256.Size {
		return Digest{}, fmt.Errorf("reading PCR %d: the TPM keeps no SHA-256 bank", pcr)
	}
	return Digest(rsp.PCRValues.Digests[0].Buffer), nil
}

func selection(pcrs ...uint) tpm2.TPMLPCRSelection {
	return tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{
		{Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(pcrs...)}}}
}

// maxResponse is the largest answer a TPM gives to the commands used here.
const maxResponse = 4096

// blocking is a transport over a blocking descriptor: one write, one read.
type blocking int

func (fd blocking) Send(command []byte) ([]byte, error) {
	if _, err := unix.Write(int(fd), command); err != nil {
		return nil, fmt.Errorf("writing TPM command: %w", err)
	}
	buf := make([]byte, maxResponse)
	for {
		n, err := unix.Read(int(fd), buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading TPM answer: %w", err)
		}
		return buf[:n], nil
	}
}
