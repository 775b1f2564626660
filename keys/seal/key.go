package seal

import (
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// MaxSecret is the longest secret that can be sealed, in bytes (a TPM's limit for sealed data).
const MaxSecret = 128

// Approval is the vendor's word that a release may open the key: the policy key
// (PKIX DER), the release's root hash (lower-case hex) and version, and the
// signature over ApprovedPolicy(RootHash, Version) that the release's manifest
// carries. Where root hash and version were read does not matter: with others than
// the vendor signed, the signature does not fit.
type Approval struct {
	Key       []byte
	RootHash  string
	Version   uint64
	Signature []byte
}

// Seal keeps secret for the holder of policy key pkix and the boot state at.
// The state need not be the present one: a change of the boot image seals to
// the state it predicts before it is made.
func (t *TPM) Seal(secret, pkix []byte, at Boot) (Blob, error) {
	if len(secret) == 0 || len(secret) > MaxSecret {
		return Blob{}, fmt.Errorf("sealing: the secret has %d bytes, want 1 to %d", len(secret), MaxSecret)
	}
	_, name, err := policyKey(pkix)
	if err != nil {
		return Blob{}, err
	}
	parent, err := t.parent()
	if err != nil {
		return Blob{}, err
	}
	defer parent.release()
	rsp, err := tpm2.Create{
		ParentHandle: parent.auth(),
		InSensitive:  tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: secret})}},
		InPublic: tpm2.New2B(tpm2.TPMTPublic{Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
			ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, NoDA: true},
			AuthPolicy:       tpm2.TPM2BDigest{Buffer: objectPolicy(name, at)}}),
	}.Execute(t.tpm, parent.secret(tpm2.AESEncryption(128, tpm2.EncryptIn)))
	if err != nil {
		return Blob{}, fmt.Errorf("sealing: %w", err)
	}
	return Blob{At: at, PolicyKey: keyDigest(name),
		Public: rsp.OutPublic.Bytes(), Private: rsp.OutPrivate.Buffer}, nil
}

// Unseal opens b. A refusal wraps one of the Err values of this package and
// says which condition does not hold.
func (t *TPM) Unseal(b Blob, by Approval) ([]byte, error) {
	pub, name, err := policyKey(by.Key)
	if err != nil {
		return nil, err
	}
	ticket, err := t.checkSignature(pub, by)
	if err != nil {
		return nil, err
	}
	parent, err := t.parent()
	if err != nil {
		return nil, err
	}
	defer parent.release()
	object, err := tpm2.Load{ParentHandle: parent.auth(), InPrivate: tpm2.TPM2BPrivate{Buffer: b.Private},
		InPublic: tpm2.BytesAs2B[tpm2.TPMTPublic](b.Public)}.Execute(t.tpm)
	if err != nil {
		return nil, t.explainLoad(err)
	}
	defer t.flush(object.ObjectHandle)
	session, closeSession, err := t.satisfy(by, name, ticket)
	if err != nil {
		return nil, t.explainChoice(by, err)
	}
	defer closeSession()
	rsp, err := tpm2.Unseal{ItemHandle: tpm2.AuthHandle{Handle: object.ObjectHandle, Name: object.Name, Auth: session}}.
		Execute(t.tpm, parent.secret(tpm2.AESEncryption(128, tpm2.EncryptOut)))
	if err != nil {
		return nil, t.explainBoot(b, name, err)
	}
	return rsp.OutData.Buffer, nil
}

// checkSignature has the TPM verify the vendor's approval; its ticket is good for this boot.
func (t *TPM) checkSignature(pub tpm2.TPMTPublic, by Approval) (tpm2.TPMTTKVerified, error) {
	var none tpm2.TPMTTKVerified
	if len(by.Signature) != SignatureSize {
		return none, refuse(ErrSignature, fmt.Errorf("it has %d bytes, want %d", len(by.Signature), SignatureSize))
	}
	key, err := tpm2.LoadExternal{InPublic: tpm2.New2B(pub), Hierarchy: tpm2.TPMRHOwner}.Execute(t.tpm)
	if err != nil {
		return none, fmt.Errorf("loading policy key: %w", err)
	}
	defer t.flush(key.ObjectHandle)
	h := toBeSigned(ApprovedPolicy(by.RootHash, by.Version))
	rsp, err := tpm2.VerifySignature{
		KeyHandle: tpm2.NamedHandle{Handle: key.ObjectHandle, Name: key.Name},
		Digest:    tpm2.TPM2BDigest{Buffer: h[:]},
		Signature: tpm2.TPMTSignature{SigAlg: tpm2.TPMAlgECDSA, Signature: tpm2.NewTPMUSignature(tpm2.TPMAlgECDSA, &tpm2.TPMSSignatureECC{
			Hash:       tpm2.TPMAlgSHA256,
			SignatureR: tpm2.TPM2BECCParameter{Buffer: by.Signature[:32]},
			SignatureS: tpm2.TPM2BECCParameter{Buffer: by.Signature[32:]}})},
	}.Execute(t.tpm)
	if err != nil {
		return none, refuse(ErrSignature, err)
	}
	return rsp.Validation, nil
}

// satisfy opens a policy session and leads it through the object's policy:
// the choice in PCR 13, the version floor, the vendor's approval of both, the boot
// state.
func (t *TPM) satisfy(by Approval, key tpm2.TPM2BName, ticket tpm2.TPMTTKVerified) (tpm2.Session, func() error, error) {
	s, closeSession, err := tpm2.PolicySession(t.tpm, tpm2.TPMAlgSHA256, nonceSize)
	if err != nil {
		return nil, nil, fmt.Errorf("opening policy session: %w", err)
	}
	_, err = tpm2.PolicyPCR{PolicySession: s.Handle(), Pcrs: selection(pcrChoice)}.Execute(t.tpm)
	if err == nil {
		floor := atMost(by.Version)
		floor.PolicySession = s.Handle()
		if _, err = floor.Execute(t.tpm); err != nil {
			err = refuseFloor(by, err)
		}
	}
	if err == nil {
		_, err = tpm2.PolicyAuthorize{PolicySession: s.Handle(), ApprovedPolicy: tpm2.TPM2BDigest{Buffer: ApprovedPolicy(by.RootHash, by.Version)},
			PolicyRef: tpm2.TPM2BDigest{Buffer: []byte(policyRef)}, KeySign: key, CheckTicket: ticket}.Execute(t.tpm)
	}
	if err == nil {
		_, err = tpm2.PolicyPCR{PolicySession: s.Handle(), Pcrs: selection(pcrImage, pcrSecureBoot)}.Execute(t.tpm)
	}
	if err != nil {
		return nil, nil, errors.Join(err, closeSession())
	}
	return s, closeSession, nil
}

const nonceSize = 16
