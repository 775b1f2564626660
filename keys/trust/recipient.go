package trust

import (
	"errors"
	"fmt"
	"strings"
)

// checkRecipient says whether text is an age X25519 recipient (age-encryption.org/v1,
// section "X25519 recipient stanza"; Bech32, BIP 173): "age1", 52 symbols that hold
// 32 bytes, and 6 symbols of checksum, in lower case. It does not look at the point.
func checkRecipient(text string) error {
	const hrp, symbols, checksum = "age", 52, 6
	const alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	data, ok := strings.CutPrefix(text, hrp+"1")
	if !ok || len(data) != symbols+checksum {
		return fmt.Errorf("%.80q: want age1 and %d symbols", text, symbols+checksum)
	}
	sum := uint32(1)
	for _, c := range hrp {
		sum = polymod(sum, uint32(c)>>5)
	}
	sum = polymod(sum, 0)
	for _, c := range hrp {
		sum = polymod(sum, uint32(c)&31)
	}
	for i, c := range data {
		v := strings.IndexRune(alphabet, c)
		if v < 0 {
			return fmt.Errorf("%q is not a symbol", c)
		}
		if i == symbols-1 && v&15 != 0 { // 52 symbols hold 260 bits; the last 4 are padding
			return errors.New("padding is not zero")
		}
		sum = polymod(sum, uint32(v))
	}
	if sum != 1 {
		return errors.New("checksum does not fit")
	}
	return nil
}

// polymod takes one symbol into a Bech32 checksum.
func polymod(sum, value uint32) uint32 {
	top := sum >> 25
	sum = sum&0x1ffffff<<5 ^ value
	for i, g := range [...]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
		if top>>i&1 == 1 {
			sum ^= g
		}
	}
	return sum
}
