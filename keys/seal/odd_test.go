package seal

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/keys/seal/sealtest"
)

// answers is a chip that gives every command the same answer.
type answers []byte

func (a answers) Send([]byte) ([]byte, error) { return a, nil }

// TestOddChips: a chip that speaks TPM 1.2 (talos #10847: a boot loop), or nothing that makes sense, is an error with a
// cause at every call; nothing panics, waits or passes for an answer.
func TestOddChips(t *testing.T) {
	v := newVendor(t)
	for name, answer := range map[string]answers{
		"TPM 1.2, bad tag":      {0x00, 0xc4, 0, 0, 0, 10, 0, 0, 0, 0x1e},
		"TPM 1.2, bad ordinal":  {0x00, 0xc4, 0, 0, 0, 10, 0, 0, 0, 0x0a},
		"nothing":               {},
		"half a head":           {0x80, 0x01, 0, 0},
		"success without value": {0x80, 0x01, 0, 0, 0, 10, 0, 0, 0, 0},
		"a size of 4 GiB":       {0x80, 0x01, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
		"in failure mode":       {0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x01, 0x01},
		"locked out":            {0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x09, 0x21},
	} {
		c := New(answer)
		_, err := c.Floor()
		require.Error(t, err, name)
		_, err = c.Boot()
		require.Error(t, err, name)
		_, err = c.Choice()
		require.Error(t, err, name)
		_, err = c.Unseal(Blob{Public: make([]byte, 90), Private: make([]byte, 90)}, v.approve(rootOne))
		require.Error(t, err, name)
		_, err = c.Seal(secret, v.pkix, Boot{})
		require.Error(t, err, name)
		require.Error(t, c.Own(ownerOne, 1), name)
		require.Error(t, c.RaiseFloor(2, ownerOne), name)
		require.Error(t, c.Prepare(0), name)
	}
}

// TestNoSHA256Bank: a chip whose SHA-256 bank is switched off measures nothing that a key could hang on (eve #5975). It
// says so instead of sealing to values that are always the same.
func TestNoSHA256Bank(t *testing.T) {
	c, v := newOwned(t), newVendor(t)
	allocate(t, c.Chip, tpm2.TPMAlgSHA384)
	c.boot("image", "on", System(rootOne))
	_, err := c.Boot()
	require.ErrorContains(t, err, "the TPM keeps no SHA-256 bank")
	_, err = c.Choice()
	require.ErrorContains(t, err, "the TPM keeps no SHA-256 bank")
	blob, err := c.Seal(secret, v.pkix, Boot{})
	if err == nil {
		_, err = c.Unseal(blob, v.approve(rootOne))
	}
	require.Error(t, err)
}

// allocate switches all banks of PCRs off but one, as a firmware's set-up does. go-tpm has no such command.
func allocate(t *testing.T, c *sealtest.Chip, only tpm2.TPMAlgID) {
	be := binary.BigEndian
	banks := []tpm2.TPMAlgID{tpm2.TPMAlgSHA1, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA384, tpm2.TPMAlgSHA512}
	b := []byte{0x80, 0x02, 0, 0, 0, 0}
	b = be.AppendUint32(b, uint32(tpm2.TPMCCPCRAllocate))
	b = be.AppendUint32(b, uint32(tpm2.TPMRHPlatform))
	b = append(b, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0) // an empty password
	b = be.AppendUint32(b, uint32(len(banks)))
	for _, bank := range banks {
		b = be.AppendUint16(b, uint16(bank))
		b = append(b, 3, 0, 0, 0)
		if bank == only {
			copy(b[len(b)-3:], "\xff\xff\xff")
		}
	}
	be.PutUint32(b[2:], uint32(len(b)))
	answer, err := c.Send(b)
	require.NoError(t, err)
	require.Zero(t, be.Uint32(answer[6:]), "%x", answer)
	require.Greater(t, len(answer), 14)
	require.EqualValues(t, 1, answer[14], "%x", answer)
}
