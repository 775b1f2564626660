package seal

import (
	"crypto/sha256"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// Identity is the same for one TPM chip for all its life, and no secret: the SHA-256
// of its endorsement key's public part (ECC P-256, the TCG's template). Clearing the
// TPM does not change it.
func (t *TPM) Identity() (Digest, error) {
	rsp, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHEndorsement, InPublic: tpm2.New2B(tpm2.ECCEKTemplate)}.Execute(t.tpm)
	if err != nil {
		return Digest{}, fmt.Errorf("asking the TPM who it is: %w", err)
	}
	t.flush(rsp.ObjectHandle)
	return sha256.Sum256(rsp.OutPublic.Bytes()), nil
}
