package seal

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"github.com/google/go-tpm/tpm2"
)

// Event is a text whose SHA-256 is extended into PCR 13.
type Event string

// System is what recovery measures before it switches to the slot with this
// root hash (lower-case hex).
func System(rootHash string) Event { return Event("choba-system\n" + rootHash) }

// Recovery is what recovery measures when it stays: the data key never opens.
func Recovery() Event { return "choba-recovery\n" }

// DoorClosed is what init measures right after it has opened the data key.
func DoorClosed() Event { return "choba-door-closed\n" }

func (e Event) digest() Digest { return sha256.Sum256([]byte(e)) }

// Predict is the value of PCR 13 after the events, counted from power-on.
func Predict(events ...Event) Digest {
	var v Digest
	for _, e := range events {
		v = v.extend(e)
	}
	return v
}

func (d Digest) extend(e Event) Digest {
	x := e.digest()
	return sha256.Sum256(append(d[:], x[:]...))
}

// policyRef binds a policy signature to its purpose (TPM 2.0 part 3, PolicyAuthorize).
const policyRef = "choba/data"

// SignatureSize is the length of a policy signature: r and s of P-256, 32 bytes each, big endian.
const SignatureSize = 64

// ApprovedPolicy is the policy digest "PCR 13 holds System(rootHash) and nothing
// else, and the version floor is not above version".
func ApprovedPolicy(rootHash string, version uint64) []byte {
	value := Predict(System(rootHash))
	pcrs := sha256.Sum256(value[:])
	return digestAfter(
		tpm2.PolicyPCR{PcrDigest: tpm2.TPM2BDigest{Buffer: pcrs[:]}, Pcrs: selection(pcrChoice)},
		atMost(version))
}

// CheckApproval says, without a TPM, whether a TPM would take the vendor's
// signature: part of the dry run before a restart. Errors: ErrSignature.
func CheckApproval(a Approval) error {
	pub, err := parsePolicyKey(a.Key)
	if err != nil {
		return err
	}
	if len(a.Signature) != SignatureSize {
		return fmt.Errorf("checking policy signature: %w: it has %d bytes, want %d", ErrSignature, len(a.Signature), SignatureSize)
	}
	h := toBeSigned(ApprovedPolicy(a.RootHash, a.Version))
	r, s := new(big.Int).SetBytes(a.Signature[:32]), new(big.Int).SetBytes(a.Signature[32:])
	if !ecdsa.Verify(pub, h[:], r, s) {
		return fmt.Errorf("checking policy signature: %w", ErrSignature)
	}
	return nil
}

// SignPolicy approves a policy with the vendor's key. The signature is
// deterministic (RFC 6979), so that a release can be built again byte for byte.
func SignPolicy(key *ecdsa.PrivateKey, policy []byte) ([]byte, error) {
	if key.Curve != elliptic.P256() {
		return nil, errors.New("signing policy: the key is not on curve P-256")
	}
	h := toBeSigned(policy)
	der, err := key.Sign(nil, h[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("signing policy: %w", err)
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		return nil, fmt.Errorf("signing policy: %w", err)
	}
	out := make([]byte, SignatureSize)
	rs.R.FillBytes(out[:32])
	rs.S.FillBytes(out[32:])
	return out, nil
}

// toBeSigned is the aHash of TPM2_PolicyAuthorize.
func toBeSigned(policy []byte) [sha256.Size]byte {
	return sha256.Sum256(append(append([]byte{}, policy...), policyRef...))
}

// objectPolicy is the whole policy of a sealed key: authorised by the vendor's
// key for the choice, and bound to what the firmware measured.
func objectPolicy(key tpm2.TPM2BName, at Boot) []byte {
	pcrs := sha256.Sum256(append(at.Image[:], at.SecureBoot[:]...))
	return digestAfter(
		tpm2.PolicyAuthorize{KeySign: key, PolicyRef: tpm2.TPM2BDigest{Buffer: []byte(policyRef)}},
		tpm2.PolicyPCR{PcrDigest: tpm2.TPM2BDigest{Buffer: pcrs[:]}, Pcrs: selection(pcrImage, pcrSecureBoot)})
}

// digestAfter computes a policy digest without a TPM.
func digestAfter(steps ...interface {
	Update(*tpm2.PolicyCalculator) error
}) []byte {
	calc, err := tpm2.NewPolicyCalculator(tpm2.TPMAlgSHA256)
	if err != nil {
		panic("seal: no SHA-256: " + err.Error())
	}
	for _, s := range steps {
		if err := s.Update(calc); err != nil {
			panic("seal: policy step: " + err.Error())
		}
	}
	return calc.Hash().Digest
}

func parsePolicyKey(pkix []byte) (*ecdsa.PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(pkix)
	if err != nil {
		return nil, fmt.Errorf("reading policy key: %w", err)
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("reading policy key: not an ECDSA key on curve P-256")
	}
	return key, nil
}

// policyKey is the vendor's public key as the TPM wants it.
func policyKey(pkix []byte) (tpm2.TPMTPublic, tpm2.TPM2BName, error) {
	key, err := parsePolicyKey(pkix)
	if err != nil {
		return tpm2.TPMTPublic{}, tpm2.TPM2BName{}, err
	}
	point, err := key.Bytes()
	if err != nil {
		return tpm2.TPMTPublic{}, tpm2.TPM2BName{}, fmt.Errorf("reading policy key: %w", err)
	}
	pub := tpm2.TPMTPublic{
		Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{SignEncrypt: true, UserWithAuth: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
			CurveID: tpm2.TPMECCNistP256,
			Scheme: tpm2.TPMTECCScheme{Scheme: tpm2.TPMAlgECDSA,
				Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA256})},
		}),
		Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{
			X: tpm2.TPM2BECCParameter{Buffer: point[1:33]}, Y: tpm2.TPM2BECCParameter{Buffer: point[33:65]}}),
	}
	name, err := tpm2.ObjectName(&pub)
	if err != nil {
		return tpm2.TPMTPublic{}, tpm2.TPM2BName{}, fmt.Errorf("naming policy key: %w", err)
	}
	return pub, *name, nil
}
