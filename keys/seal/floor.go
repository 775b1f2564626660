package seal

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// The version floor: an ordinary NV index that holds 8 bytes, big endian. A
// release opens the data key only when the floor is not above the version that
// the vendor has signed for it. Anyone may read the index; only the owner of the
// TPM may write or remove it.
const (
	floorIndex = tpm2.TPMHandle(0x0180C0BA) // in the owner's range, 0x01800000 to 0x01BFFFFF (TCG registry of handles)
	floorSize  = 8
)

// floorPublic is the same on every register, so that the index has one Name and
// the vendor can sign for all of them. A TPM sets written at the first write, and
// that is part of the Name.
func floorPublic(written bool) tpm2.TPMSNVPublic {
	return tpm2.TPMSNVPublic{NVIndex: floorIndex, NameAlg: tpm2.TPMAlgSHA256, DataSize: floorSize,
		Attributes: tpm2.TPMANV{OwnerWrite: true, OwnerRead: true, AuthRead: true, NoDA: true, NT: tpm2.TPMNTOrdinary, Written: written}}
}

func floorName(written bool) tpm2.TPM2BName {
	public := floorPublic(written)
	name, err := tpm2.NVName(&public)
	if err != nil {
		panic("seal: naming the floor: " + err.Error())
	}
	return *name
}

// floorHandle names the index, for commands whose authorization covers names.
func floorHandle(written bool) tpm2.NamedHandle {
	return tpm2.NamedHandle{Handle: floorIndex, Name: floorName(written)}
}

// readable is the floor as its own authority for reading: its password is empty.
func readable() tpm2.AuthHandle {
	return tpm2.AuthHandle{Handle: floorIndex, Name: floorName(true), Auth: tpm2.PasswordAuth(nil)}
}

// atMost is the policy step "the floor is not above version".
func atMost(version uint64) tpm2.PolicyNV {
	return tpm2.PolicyNV{AuthHandle: readable(), NVIndex: floorHandle(true), Operation: tpm2.TPMEOUnsignedLE,
		OperandB: tpm2.TPM2BOperand{Buffer: binary.BigEndian.AppendUint64(nil, version)}}
}

// Why a floor cannot be had.
var (
	ErrNoFloor = errors.New("the TPM holds no version floor")
	ErrOwned   = errors.New("this TPM belongs to another owner; clear it in the firmware's set-up (security, TPM, clear)")
)

// OwnerSecret is the TPM owner's password of one register. Its zero value is no
// password: a TPM that belongs to nobody.
type OwnerSecret [32]byte

// Owner derives the owner's password from the data key, so that it lies nowhere:
// HKDF-SHA256, no salt, info "choba tpm owner". No byte of it is zero: a TPM drops
// zeros at the end of a password, and go-tpm cuts at the first one.
func Owner(dataKey []byte) OwnerSecret {
	raw, err := hkdf.Key(sha256.New, dataKey, nil, "choba tpm owner", len(OwnerSecret{}))
	if err != nil {
		panic("seal: deriving the owner's password: " + err.Error())
	}
	s := OwnerSecret(bytes.ReplaceAll(raw, []byte{0}, []byte{1}))
	clear(raw)
	return s
}

// Floor reads the version floor. Errors: ErrNoFloor.
func (t *TPM) Floor() (uint64, error) { return t.readFloor(readable()) }

// floorBy reads the floor as the owner: a wrong password is noticed, though anybody
// may read. Errors: ErrNoFloor, ErrOwned.
func (t *TPM) floorBy(by OwnerSecret) (uint64, error) { return t.readFloor(by.auth()) }

func (t *TPM) readFloor(as tpm2.AuthHandle) (uint64, error) {
	rsp, err := tpm2.NVRead{AuthHandle: as, NVIndex: floorHandle(true), Size: floorSize}.Execute(t.tpm)
	switch {
	case errors.Is(err, tpm2.TPMRCHandle), errors.Is(err, tpm2.TPMRCNVUninitialized):
		return 0, ErrNoFloor
	case err != nil:
		return 0, owner("reading the version floor", err)
	case len(rsp.Data.Buffer) != floorSize:
		return 0, fmt.Errorf("reading the version floor: got %d bytes, want %d", len(rsp.Data.Buffer), floorSize)
	}
	return binary.BigEndian.Uint64(rsp.Data.Buffer), nil
}

// Owned says whether the TPM has an owner's password.
func (t *TPM) Owned() (bool, error) {
	rsp, err := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: uint32(tpm2.TPMPTPermanent), PropertyCount: 1}.Execute(t.tpm)
	if err != nil {
		return false, fmt.Errorf("asking the TPM for its owner: %w", err)
	}
	properties, err := rsp.CapabilityData.Data.TPMProperties()
	if err != nil || len(properties.TPMProperty) != 1 || properties.TPMProperty[0].Property != tpm2.TPMPTPermanent {
		return false, errors.Join(errors.New("asking the TPM for its owner: it does not say"), err)
	}
	const ownerAuthSet = 1 // TPMA_PERMANENT, bit 0
	return properties.TPMProperty[0].Value&ownerAuthSet != 0, nil
}

// Prepare gives a TPM without an owner what a sealed key needs: a storage key that
// stays, and the floor, at least as high as given. What is there already is left.
// Own comes after the key is stored. Errors: ErrOwned.
func (t *TPM) Prepare(floor uint64) error {
	owned, err := t.Owned()
	if err != nil {
		return err
	}
	if owned {
		return fmt.Errorf("preparing the TPM: %w", ErrOwned)
	}
	return t.prepare(OwnerSecret{}, floor)
}

// Own makes the TPM this register's: what Prepare does, and then the owner's
// password, without which nobody can remove or lower the floor. It may be called
// again at any time and finishes what a power cut left. Store the sealed key first:
// with the key the password would be lost too. Errors: ErrOwned.
func (t *TPM) Own(secret OwnerSecret, floor uint64) error {
	owned, err := t.Owned()
	if err != nil {
		return err
	}
	if owned {
		return t.prepare(secret, floor)
	}
	if err := t.prepare(OwnerSecret{}, floor); err != nil {
		return err
	}
	return t.changeOwner(secret)
}

// prepare does each step that is not done yet; by is the owner's password as it is.
func (t *TPM) prepare(by OwnerSecret, floor uint64) error {
	if err := t.keepStorageKey(by); err != nil {
		return err
	}
	if err := t.defineFloor(by); err != nil {
		return err
	}
	now, err := t.floorBy(by)
	if errors.Is(err, ErrNoFloor) {
		return t.writeFloor(by, floor, false)
	}
	if err != nil || now >= floor {
		return err
	}
	return t.writeFloor(by, floor, true)
}

// defineFloor makes the index, and makes it anew when what is there is not ours.
func (t *TPM) defineFloor(by OwnerSecret) error {
	found, err := tpm2.NVReadPublic{NVIndex: floorIndex}.Execute(t.tpm)
	switch {
	case err == nil && (named(found.NVName, floorName(true)) || named(found.NVName, floorName(false))):
		return nil
	case err == nil:
		_, err = tpm2.NVUndefineSpace{AuthHandle: by.auth(),
			NVIndex: tpm2.NamedHandle{Handle: floorIndex, Name: found.NVName}}.Execute(t.tpm)
		if err != nil {
			return owner("removing a strange version floor", err)
		}
	case !errors.Is(err, tpm2.TPMRCHandle):
		return fmt.Errorf("looking for the version floor: %w", err)
	}
	_, err = tpm2.NVDefineSpace{AuthHandle: by.auth(), PublicInfo: tpm2.New2B(floorPublic(false))}.Execute(t.tpm)
	return owner("making the version floor", err)
}

func (t *TPM) writeFloor(by OwnerSecret, to uint64, written bool) error {
	_, err := tpm2.NVWrite{AuthHandle: by.auth(), NVIndex: floorHandle(written),
		Data: tpm2.TPM2BMaxNVBuffer{Buffer: binary.BigEndian.AppendUint64(nil, to)}}.Execute(t.tpm)
	return owner("writing the version floor", err)
}

func named(a, b tpm2.TPM2BName) bool { return bytes.Equal(a.Buffer, b.Buffer) }

// changeOwner sets the password of a TPM that has none. It crosses the bus
// encrypted, in a session of its own: the empty password has nothing to hide.
func (t *TPM) changeOwner(secret OwnerSecret) error {
	parent, err := t.parent()
	if err != nil {
		return err
	}
	defer parent.release()
	_, err = tpm2.HierarchyChangeAuth{AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)},
		NewAuth: tpm2.TPM2BAuth{Buffer: secret[:]}}.Execute(t.tpm, parent.secret(tpm2.AESEncryption(128, tpm2.EncryptIn)))
	return owner("setting the TPM's owner", err)
}

// RaiseFloor writes the floor when it is lower than to; it never lowers it.
// Errors: ErrNoFloor, ErrOwned (the secret is not the owner's).
func (t *TPM) RaiseFloor(to uint64, s OwnerSecret) error {
	now, err := t.Floor()
	if err != nil || now >= to {
		return err
	}
	return t.writeFloor(s, to, true)
}

// Clear makes the TPM nobody's: its storage seed, and with it every key ever sealed
// by it, is gone for good, and so are floor and owner. It is for a factory reset.
func (t *TPM) Clear() error {
	if _, err := (tpm2.Clear{AuthHandle: tpm2.TPMRHLockout}).Execute(t.tpm); err != nil {
		return fmt.Errorf("clearing the TPM: %w", err)
	}
	return nil
}

// auth is the owner with this password. The password itself never crosses the bus.
func (s OwnerSecret) auth() tpm2.AuthHandle {
	if s == (OwnerSecret{}) {
		return tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)}
	}
	return tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.HMAC(tpm2.TPMAlgSHA256, nonceSize, tpm2.Auth(s[:]))}
}

// owner finds words for a command that the owner has to allow.
func owner(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, tpm2.TPMRCBadAuth), errors.Is(err, tpm2.TPMRCAuthFail):
		return fmt.Errorf("%s: %w: %w", doing, ErrOwned, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
