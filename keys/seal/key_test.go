package seal

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	rootOne = strings.Repeat("1a", 32)
	rootTwo = strings.Repeat("2b", 32)
	secret  = bytes.Repeat([]byte("data key"), 8)
)

type vendor struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	pkix []byte
}

func newVendor(t *testing.T) vendor {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	pkix, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	return vendor{t, key, pkix}
}

func (v vendor) approve(root string) Approval { return v.approveVersion(root, 7) }

func (v vendor) approveVersion(root string, version uint64) Approval {
	sig, err := SignPolicy(v.key, ApprovedPolicy(root, version))
	require.NoError(v.t, err)
	return Approval{Key: v.pkix, RootHash: root, Version: version, Signature: sig}
}

// TestUnseal proves B12 and E05 as far as the key goes, and A51's recovery that
// never sees sales: the key opens for the approved release on the machine and
// boot path it was sealed on, once, and for nothing else. One machine plays all
// boots, as in life.
func TestUnseal(t *testing.T) {
	c, v := newOwned(t), newVendor(t)
	c.boot("boot image", "secure boot on", System(rootOne))
	at, err := c.Boot()
	require.NoError(t, err)
	blob, err := c.Seal(secret, v.pkix, at)
	require.NoError(t, err)

	good := v.approve(rootOne)
	got, err := c.Unseal(blob, good)
	require.NoError(t, err)
	require.Equal(t, secret, got)

	forged := v.approve(rootOne)
	forged.Signature[40] ^= 1
	stranger := newVendor(t).approve(rootOne)
	mixed := good
	mixed.Signature = stranger.Signature
	short := good
	short.Signature = good.Signature[:63]
	other := v.approve(rootTwo)
	borrowed := other
	borrowed.RootHash = rootOne

	image, sb := "boot image", "secure boot on"
	for _, row := range []struct {
		name, image, secureBoot string
		events                  []Event
		by                      Approval
		want                    error
	}{
		{"another release's approval", image, sb, []Event{System(rootOne)}, other, ErrRelease},
		{"another release's signature", image, sb, []Event{System(rootOne)}, borrowed, ErrSignature},
		{"forged signature", image, sb, []Event{System(rootOne)}, forged, ErrSignature},
		{"short signature", image, sb, []Event{System(rootOne)}, short, ErrSignature},
		{"stranger's signature under the vendor's key", image, sb, []Event{System(rootOne)}, mixed, ErrSignature},
		{"stranger's key and signature", image, sb, []Event{System(rootOne)}, stranger, ErrPolicyKey},
		{"same machine and release again", image, sb, []Event{System(rootOne)}, good, nil},
		{"next release, approved", image, sb, []Event{System(rootTwo)}, other, nil},
		{"next release, not approved", image, sb, []Event{System(rootTwo)}, good, ErrRelease},
		{"another boot image", "evil image", sb, []Event{System(rootOne)}, good, ErrBootImage},
		{"Secure Boot off", image, "secure boot off", []Event{System(rootOne)}, good, ErrSecureBoot},
		{"recovery stayed", image, sb, []Event{Recovery()}, good, ErrRecovery},
		{"recovery, then a system", image, sb, []Event{Recovery(), System(rootOne)}, good, ErrRelease},
		{"nothing measured", image, sb, nil, good, ErrUnmeasured},
		{"door closed", image, sb, []Event{System(rootOne), DoorClosed()}, good, ErrDoorClosed},
	} {
		t.Run(row.name, func(t *testing.T) {
			c.boot(row.image, row.secureBoot, row.events...)
			got, err := c.Unseal(blob, row.by)
			require.ErrorIs(t, err, row.want)
			if row.want == nil {
				require.Equal(t, secret, got)
				return
			}
			require.Nil(t, got)
			require.ErrorContains(t, err, row.want.Error())
		})
	}
}

func TestUnsealBlob(t *testing.T) {
	c, d, v := newOwned(t), newOwned(t), newVendor(t)
	c.boot("boot image", "on", System(rootOne))
	d.boot("boot image", "on", System(rootOne))
	at, err := c.Boot()
	require.NoError(t, err)
	blob, err := c.Seal(secret, v.pkix, at)
	require.NoError(t, err)

	_, err = d.Unseal(blob, v.approve(rootOne))
	require.ErrorIs(t, err, ErrOtherTPM, "another TPM")
	for _, part := range []func(*Blob) []byte{
		func(b *Blob) []byte { return b.Private }, func(b *Blob) []byte { return b.Public }} {
		bad := Blob{At: blob.At, PolicyKey: blob.PolicyKey, Public: bytes.Clone(blob.Public), Private: bytes.Clone(blob.Private)}
		p := part(&bad)
		p[len(p)-3] ^= 1
		_, err = c.Unseal(bad, v.approve(rootOne))
		require.Error(t, err, "altered blob")
	}
	lying := blob
	lying.At = Boot{}
	_, err = c.Unseal(lying, v.approve(rootOne))
	require.NoError(t, err, "the notes beside the blob decide nothing")
}

// TestSealAhead: a change of the boot image seals to the state it predicts.
func TestSealAhead(t *testing.T) {
	c, v := newOwned(t), newVendor(t)
	c.boot("boot image", "on", System(rootOne))
	at, err := c.Boot()
	require.NoError(t, err)
	at.Image = Predict("new boot image")
	blob, err := c.Seal(secret, v.pkix, at)
	require.NoError(t, err)
	_, err = c.Unseal(blob, v.approve(rootOne))
	require.ErrorIs(t, err, ErrBootImage)
	c.boot("new boot image", "on", System(rootOne))
	got, err := c.Unseal(blob, v.approve(rootOne))
	require.NoError(t, err)
	require.Equal(t, secret, got)
}

func TestSealRefuses(t *testing.T) {
	c, v := newChip(t), newVendor(t)
	_, err := c.Seal(nil, v.pkix, Boot{})
	require.ErrorContains(t, err, "0 bytes")
	_, err = c.Seal(make([]byte, MaxSecret+1), v.pkix, Boot{})
	require.ErrorContains(t, err, "129 bytes")
	_, err = c.Seal(secret, []byte("no key"), Boot{})
	require.ErrorContains(t, err, "reading policy key")
}

func TestOpenAbsent(t *testing.T) {
	_, err := Open(t.TempDir() + "/tpm")
	require.ErrorContains(t, err, "opening TPM")
}
