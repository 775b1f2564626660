// Package dm makes and removes device-mapper devices through the kernel's ioctl:
// a verity device whose root hash the kernel checks against a signature, and a
// crypt device whose key never stands in a table.
//
// It is not libdevmapper: no udev, no events, no other targets. The node
// /dev/dm-N is made by devtmpfs.
//
// The rule that keeps it small: one device has one target over one block device.
package dm

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// SectorSize is the unit of every device-mapper length and offset, in bytes.
const SectorSize = 512

// Verity describes a read-only device over data and hash tree on one block device.
type Verity struct {
	Name      string // device-mapper name, e.g. "choba-slot-a"
	Table     string // parameters of the verity target; they name VerityKey as root_hash_sig_key_desc
	Sectors   uint64 // length of the data, in sectors
	Signature []byte // PKCS#7 DER over the root hash as hex text
}

// VerityKey is the description under which the kernel finds a root hash's signature.
const VerityKey = "choba:roothash"

// Crypt describes an aes-xts-plain64 device with 4096-byte sectors.
type Crypt struct {
	Name   string // device-mapper name, e.g. "choba-data"
	Device string // block device underneath
	Offset uint64 // first sector used on Device
	// Sectors is the length; a multiple of 8.
	Sectors uint64
	Key     []byte // 64 bytes; OpenCrypt overwrites them with zeros
}

// CryptKeySize is the length of a Crypt key in bytes: two AES-256 keys.
const CryptKeySize = 64

// Why the kernel refuses a verity device; errors.Is finds them.
var (
	ErrStranger  = errors.New("the root hash is not signed, or is signed by a key the kernel does not know")
	ErrSignature = errors.New("the signature does not belong to this root hash, or was altered")
)

const cryptKey = "choba:datakey"

// OpenVerity makes the device and returns its path.
func OpenVerity(v Verity) (string, error) {
	return withKey("user", VerityKey, v.Signature, func() (string, error) {
		dev, err := create(v.Name, target{kind: "verity", sectors: v.Sectors, params: v.Table, flags: flagReadOnly})
		if err != nil {
			return "", fmt.Errorf("opening verity device %s: %w", v.Name, explainVerity(err))
		}
		return dev, nil
	})
}

func explainVerity(err error) error {
	switch {
	case errors.Is(err, unix.ENOKEY), errors.Is(err, unix.ENODATA):
		return fmt.Errorf("%w: %w", ErrStranger, err)
	case errors.Is(err, unix.EKEYREJECTED), errors.Is(err, unix.EBADMSG), errors.Is(err, unix.ENOPKG):
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return err
}

// OpenCrypt makes the device, wipes c.Key and returns the device's path.
func OpenCrypt(c Crypt) (string, error) {
	defer clear(c.Key)
	if len(c.Key) != CryptKeySize {
		return "", fmt.Errorf("opening crypt device %s: the key has %d bytes, want %d", c.Name, len(c.Key), CryptKeySize)
	}
	if strings.ContainsAny(c.Device, " \t\n") || c.Sectors == 0 || c.Sectors%8 != 0 {
		return "", fmt.Errorf("opening crypt device %s: device %q with %d sectors cannot be", c.Name, c.Device, c.Sectors)
	}
	return withKey("logon", cryptKey, c.Key, func() (string, error) {
		params := fmt.Sprintf("aes-xts-plain64 :%d:logon:%s 0 %s %d 1 sector_size:4096", CryptKeySize, cryptKey, c.Device, c.Offset)
		dev, err := create(c.Name, target{kind: "crypt", sectors: c.Sectors, params: params})
		if err != nil {
			return "", fmt.Errorf("opening crypt device %s: %w", c.Name, err)
		}
		return dev, nil
	})
}

// Remove takes a device away; it must be in nobody's use.
func Remove(name string) error {
	if _, err := call(cmdRemove, name, 0, nil); err != nil {
		return fmt.Errorf("removing device %s: %w", name, err)
	}
	return nil
}

// withKey runs do while key lies in the calling thread's key ring under
// description, where the kernel looks for it when do loads a table.
func withKey(kind, description string, key []byte, do func() (string, error)) (string, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if len(key) == 0 {
		return do() // the kernel answers ENOKEY
	}
	id, err := unix.AddKey(kind, description, key, unix.KEY_SPEC_THREAD_KEYRING)
	if err != nil {
		return "", fmt.Errorf("handing key %s to the kernel: %w", description, err)
	}
	path, err := do()
	if _, kerr := unix.KeyctlInt(unix.KEYCTL_INVALIDATE, id, 0, 0, 0); kerr != nil && err == nil {
		// Leaving the key in a key ring that nobody but this thread reads is
		// no reason to refuse the device: an old kernel cannot invalidate.
		_, _ = unix.KeyctlInt(unix.KEYCTL_REVOKE, id, 0, 0, 0)
	}
	return path, err
}
