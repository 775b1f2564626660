package escrow

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// letterText is what the vendor finds in the age file.
const letterText = `choba recovery code 1
identity %s
code %s
`

// Letter is what a register tells the vendor.
type Letter struct {
	Identity [16]byte // of the data partition that the code is for
	Code     Code
}

// maxLetter is far above the 105 bytes of a letter.
const maxLetter = 4 << 10

// OpenLetter reads the age file of a block with the vendor's identity.
func OpenLetter(file []byte, by age.Identity) (Letter, error) {
	r, err := age.Decrypt(bytes.NewReader(file), by)
	if err != nil {
		return Letter{}, fmt.Errorf("opening the register's letter: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(r, maxLetter))
	if err != nil {
		return Letter{}, fmt.Errorf("opening the register's letter: %w", err)
	}
	return parseLetter(text)
}

func parseLetter(text []byte) (l Letter, err error) {
	var identity, code string
	if _, err := fmt.Sscanf(string(text), letterText, &identity, &code); err != nil {
		return Letter{}, fmt.Errorf("reading the register's letter: %w", err)
	}
	raw, err := hex.DecodeString(identity)
	if err != nil || len(raw) != len(l.Identity) {
		return Letter{}, fmt.Errorf("reading the register's letter: identity %q is not 16 bytes in hex", identity)
	}
	copy(l.Identity[:], raw)
	if l.Code, err = ParseCode(code); err != nil {
		return Letter{}, fmt.Errorf("reading the register's letter: %w", err)
	}
	if fmt.Sprintf(letterText, hex.EncodeToString(l.Identity[:]), l.Code) != string(text) {
		return Letter{}, errors.New("reading the register's letter: not as a register would have written it")
	}
	return l, nil
}
