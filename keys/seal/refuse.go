package seal

import (
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// Why a sealed key stays shut. Each is a promise: errors.Is finds it.
var (
	ErrSignature  = errors.New("the policy signature was not made by the vendor's policy key for this release")
	ErrOtherTPM   = errors.New("the key was sealed by another TPM, this one was cleared since, or the blob was altered")
	ErrNobody     = errors.New("this TPM belongs to nobody: it is new, or it was cleared")
	ErrPolicyKey  = errors.New("the key was sealed for another policy key")
	ErrBootImage  = errors.New("another boot image was started than the one the key is sealed to (PCR 4)")
	ErrSecureBoot = errors.New("the Secure Boot state or its keys are not those the key is sealed to (PCR 7)")
	ErrRecovery   = errors.New("this boot stayed in recovery, which may never open the key (PCR 13)")
	ErrDoorClosed = errors.New("the door is closed: the key was already opened in this boot (PCR 13)")
	ErrRelease    = errors.New("the release that was measured is not the one that is approved (PCR 13)")
	ErrFloor      = errors.New("this is an older release than this register has committed (version floor in the TPM)")
	ErrUnmeasured = errors.New("no release was measured in this boot (PCR 13)")
)

func refuse(why, cause error) error { return fmt.Errorf("opening sealed key: %w: %w", why, cause) }

// explainLoad finds words for a key that the TPM does not know as its own.
func (t *TPM) explainLoad(cause error) error {
	if owned, err := t.Owned(); err == nil && !owned {
		return refuse(ErrOtherTPM, fmt.Errorf("%w: %w", ErrNobody, cause))
	}
	return refuse(ErrOtherTPM, cause)
}

// refuseFloor finds words for a version floor that did not let the release pass.
func refuseFloor(by Approval, cause error) error {
	switch {
	case errors.Is(cause, tpm2.TPMRCPolicy):
		return refuse(ErrFloor, fmt.Errorf("version %d: %w", by.Version, cause))
	case errors.Is(cause, tpm2.TPMRCHandle), errors.Is(cause, tpm2.TPMRCNVUninitialized):
		return refuse(ErrNoFloor, cause)
	}
	return fmt.Errorf("comparing the version floor: %w", cause)
}

// explainChoice finds words for a policy session that did not come to the
// approved policy. The TPM has decided already; this only reads what differs.
func (t *TPM) explainChoice(by Approval, cause error) error {
	if errors.Is(cause, ErrFloor) || errors.Is(cause, ErrNoFloor) {
		return cause
	}
	if !errors.Is(cause, tpm2.TPMRCValue) {
		return fmt.Errorf("opening sealed key: %w", cause)
	}
	now, err := t.Choice()
	if err != nil {
		return errors.Join(refuse(ErrRelease, cause), err)
	}
	switch now {
	case Predict():
		return refuse(ErrUnmeasured, cause)
	case Predict(Recovery()):
		return refuse(ErrRecovery, cause)
	case Predict(System(by.RootHash), DoorClosed()):
		return refuse(ErrDoorClosed, cause)
	}
	if now == Predict(System(by.RootHash)) { // what the vendor signed is met, but for the index's Name
		return refuse(ErrNoFloor, fmt.Errorf("something else lies in its place: %w", cause))
	}
	return refuse(ErrRelease, cause)
}

// explainBoot finds words for a policy that the object did not accept.
func (t *TPM) explainBoot(b Blob, key tpm2.TPM2BName, cause error) error {
	if !errors.Is(cause, tpm2.TPMRCPolicyFail) {
		return fmt.Errorf("opening sealed key: %w", cause)
	}
	if b.PolicyKey != keyDigest(key) {
		return refuse(ErrPolicyKey, cause)
	}
	now, err := t.Boot()
	if err != nil {
		return errors.Join(fmt.Errorf("opening sealed key: %w", cause), err)
	}
	why := errors.New("the TPM does not accept this boot")
	switch {
	case now.SecureBoot != b.At.SecureBoot && now.Image != b.At.Image:
		why = errors.Join(ErrSecureBoot, ErrBootImage)
	case now.SecureBoot != b.At.SecureBoot:
		why = ErrSecureBoot
	case now.Image != b.At.Image:
		why = ErrBootImage
	}
	return refuse(why, cause)
}
