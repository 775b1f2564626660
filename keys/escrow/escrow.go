// Package escrow keeps a second way to the data key, for the day when the TPM does
// not open it any more: the board was changed, the firmware's settings were, or the
// TPM was cleared. The key lies on the state partition, encrypted under a recovery
// code; the code lies beside it, encrypted with age to the vendor. A person sends
// that to the vendor, is told the code, types it, and the key is bound to the TPM
// that is there now.
//
// It is not a backup: without the disk there is nothing to open, and it neither
// reads nor writes the data partition. The code is shown nowhere on the register.
//
// The rule that keeps it small: one block, one code, one recipient. Using a code is
// marked before it has any effect, and a used code is replaced at the next good boot.
//
// The format is described in docs/formats/escrow.md.
package escrow

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"filippo.io/age"

	"github.com/choba-os/choba/keys/datakey"
)

// Block is what lies on the disk.
type Block struct {
	Identity  [16]byte // of the data partition
	Recipient string   // age recipient of Age
	Used      uint32   // how often its code was taken
	Last      int64    // when last, in seconds since 1970; 0 = never
	Salt      [16]byte
	Sealed    []byte // the secret, encrypted under the code
	Age       []byte // age file that tells the vendor the code
}

// ErrOpen means that a code is well formed, but is not the one of this block.
var ErrOpen = errors.New("the recovery code is another register's, or its groups are in another order")

// Make puts a secret into escrow under a new code. The code is for nobody on the
// register: forget it.
func Make(random io.Reader, s datakey.Secret, recipient string) (Block, Code, error) {
	to, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		return Block{}, Code{}, fmt.Errorf("making escrow: recipient: %w", err)
	}
	code, err := newCode(random)
	if err != nil {
		return Block{}, Code{}, err
	}
	b := Block{Identity: s.Identity, Recipient: recipient}
	if _, err := io.ReadFull(random, b.Salt[:]); err != nil {
		return Block{}, Code{}, fmt.Errorf("making escrow: %w", err)
	}
	var letter bytes.Buffer
	w, err := age.Encrypt(&letter, to)
	if err == nil {
		_, err = fmt.Fprintf(w, letterText, hex.EncodeToString(b.Identity[:]), code)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return Block{}, Code{}, fmt.Errorf("making escrow: telling the vendor: %w", err)
	}
	b.Age = letter.Bytes()
	s.State = datakey.Made // a key out of escrow never makes a partition again
	aead, nonce := b.cipher(code)
	b.Sealed = aead.Seal(nil, nonce, s.Encode(), b.bound())
	return b, code, nil
}

// Open gives the secret. Errors: ErrOpen.
func (b Block) Open(code Code) (datakey.Secret, error) {
	aead, nonce := b.cipher(code)
	text, err := aead.Open(nil, nonce, b.Sealed, b.bound())
	if err != nil {
		return datakey.Secret{}, fmt.Errorf("opening escrow: %w", ErrOpen)
	}
	s, err := datakey.Parse(text)
	clear(text)
	if err == nil && s.Identity != b.Identity {
		err = errors.New("it is of another data partition")
	}
	if err != nil {
		return datakey.Secret{}, fmt.Errorf("opening escrow: %w", err)
	}
	return s, nil
}

// Vendor is the age file for the vendor: with it, and his identity, he knows the
// code and for which data partition it is. It tells nothing to anybody else.
func (b Block) Vendor() []byte { return bytes.Clone(b.Age) }

// cipher is AES-256-GCM under a key that one code and one salt give; the nonce
// comes with it. The code has 128 random bits, so that nothing slow is needed.
func (b Block) cipher(code Code) (cipher.AEAD, []byte) {
	raw, err := hkdf.Key(sha256.New, code[:], b.Salt[:], "choba escrow 1", 32+12)
	if err != nil {
		panic("escrow: deriving the key: " + err.Error())
	}
	c, err := aes.NewCipher(raw[:32])
	if err != nil {
		panic("escrow: no AES: " + err.Error())
	}
	aead, err := cipher.NewGCM(c)
	if err != nil {
		panic("escrow: no GCM: " + err.Error())
	}
	return aead, raw[32:]
}

// bound is what cannot be changed without the code being refused.
func (b Block) bound() []byte {
	return fmt.Appendf(nil, "choba escrow 1\nidentity %x\nrecipient %s\n", b.Identity, b.Recipient)
}

// mark notes that the code was taken.
func (b Block) mark(now time.Time) Block {
	if b.Used < math.MaxUint32 { // the disk may say anything
		b.Used++
	}
	b.Last = max(now.Unix(), 0)
	return b
}
