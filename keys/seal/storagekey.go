package seal

import (
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// storageHandle is where the storage key stays (TCG TPM 2.0 provisioning guidance).
const storageHandle = tpm2.TPMHandle(0x81000001)

// storageKey is the TPM's primary storage key.
type storageKey struct {
	handle  tpm2.TPMHandle
	name    tpm2.TPM2BName
	public  tpm2.TPMTPublic
	release func() // gives the TPM's memory back
}

// parent is the storage key that stays, or one made from the TPM's seed on the
// spot, which needs a TPM without an owner. Both are the same key.
func (t *TPM) parent() (storageKey, error) {
	key, err := t.keptStorageKey()
	if err != nil || key.release != nil {
		return key, err
	}
	return t.makeStorageKey(OwnerSecret{})
}

// keptStorageKey finds the key that stays. Without it, or with a stranger's in its
// place, release is nil.
func (t *TPM) keptStorageKey() (storageKey, error) {
	rsp, err := tpm2.ReadPublic{ObjectHandle: storageHandle}.Execute(t.tpm)
	if errors.Is(err, tpm2.TPMRCHandle) {
		return storageKey{}, nil
	}
	if err != nil {
		return storageKey{}, fmt.Errorf("reading storage key: %w", err)
	}
	public, err := rsp.OutPublic.Contents()
	if err != nil {
		return storageKey{}, fmt.Errorf("reading storage key: %w", err)
	}
	if !ours(*public) {
		return storageKey{name: rsp.Name}, nil
	}
	return storageKey{storageHandle, rsp.Name, *public, func() {}}, nil
}

// ours says whether a key was made by our template: it differs in the unique part only.
func ours(public tpm2.TPMTPublic) bool {
	if public.Type != tpm2.ECCSRKTemplate.Type {
		return false
	}
	public.Unique = tpm2.ECCSRKTemplate.Unique
	return string(tpm2.Marshal(public)) == string(tpm2.Marshal(tpm2.ECCSRKTemplate))
}

func (t *TPM) makeStorageKey(by OwnerSecret) (storageKey, error) {
	rsp, err := tpm2.CreatePrimary{PrimaryHandle: by.auth(), InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(t.tpm)
	if err != nil {
		return storageKey{}, owner("making storage key", err)
	}
	release := func() { t.flush(rsp.ObjectHandle) }
	public, err := rsp.OutPublic.Contents()
	if err != nil {
		release()
		return storageKey{}, fmt.Errorf("reading storage key: %w", err)
	}
	return storageKey{rsp.ObjectHandle, rsp.Name, *public, release}, nil
}

// keepStorageKey makes the storage key stay, so that using it needs no owner. A
// register's TPM is the register's alone: a stranger's key in the place goes.
func (t *TPM) keepStorageKey(by OwnerSecret) error {
	kept, err := t.keptStorageKey()
	if err != nil || kept.release != nil {
		return err
	}
	if len(kept.name.Buffer) > 0 {
		stranger := tpm2.NamedHandle{Handle: storageHandle, Name: kept.name}
		if err := t.evict(by, stranger); err != nil {
			return err
		}
	}
	key, err := t.makeStorageKey(by)
	if err != nil {
		return err
	}
	defer key.release()
	return t.evict(by, tpm2.NamedHandle{Handle: key.handle, Name: key.name})
}

// evict makes a passing key stay, or one that stays go.
func (t *TPM) evict(by OwnerSecret, key tpm2.NamedHandle) error {
	_, err := tpm2.EvictControl{Auth: by.auth(), ObjectHandle: key, PersistentHandle: storageHandle}.Execute(t.tpm)
	return owner("keeping storage key", err)
}

func (k storageKey) auth() tpm2.AuthHandle {
	return tpm2.AuthHandle{Handle: k.handle, Name: k.name, Auth: tpm2.PasswordAuth(nil)}
}

// secret is a session that hides the first parameter from whoever listens on
// the bus. Known hole: an active interposer that answers for the storage key itself
// is not noticed; comparing the storage key's name with one recorded in the signed
// device inventory would close it.
func (k storageKey) secret(way tpm2.AuthOption) tpm2.Session {
	return tpm2.HMAC(tpm2.TPMAlgSHA256, nonceSize, way, tpm2.Salted(k.handle, k.public))
}

func (t *TPM) flush(h tpm2.TPMHandle) {
	// The resource manager flushes what a closed descriptor leaves behind.
	_, _ = tpm2.FlushContext{FlushHandle: h}.Execute(t.tpm)
}
