package seal

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

// fixedKey is a key for tests only.
func fixedKey(t *testing.T) *ecdsa.PrivateKey {
	raw, err := hex.DecodeString("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
	require.NoError(t, err)
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	require.NoError(t, err)
	return key
}

// The values are part of the release format: a change of any shuts every register's data.
func TestGolden(t *testing.T) {
	require.Equal(t, "0d9e272e1bb6ec7def0b665d1fd7124e590f70ef075a0f51f9570abfdf9e7668", Predict(System(rootOne)).String())
	require.Equal(t, "31f5163289a6d9f12cf309717aa5205d30ce2c660af141fd38c581a501dcdb24", Predict(Recovery()).String())
	require.Equal(t, "1d2395126994fb44528da8e33c61d88bff44dcbee9901b93d5c87972ee0d7676", Predict(System(rootOne), DoorClosed()).String())
	require.Equal(t, "aba9947658e4d365c57ea7daefeedca5294fba207a96efd4b16eb5b384f6f645", hex.EncodeToString(ApprovedPolicy(rootOne, 7)))
	sig, err := SignPolicy(fixedKey(t), ApprovedPolicy(rootOne, 7))
	require.NoError(t, err)
	require.Equal(t, "5f65f34af4252e2992ecc64e366d89e08ed0ebd3052dae019959603152ca0305ca0d8dc5495ff7af521874de97d69d1c038929e408223364fa02f947a643d58d", hex.EncodeToString(sig))
	require.Equal(t, Digest{}, Predict())
}

// TestPredict: what is computed without a TPM is what a TPM computes.
func TestPredict(t *testing.T) {
	c := newChip(t)
	var done []Event
	for _, e := range []Event{System(rootOne), DoorClosed(), Recovery()} {
		require.NoError(t, c.Measure(e))
		done = append(done, e)
		now, err := c.Choice()
		require.NoError(t, err)
		require.Equal(t, Predict(done...), now)
	}
}

func TestSignPolicyCurve(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P384(), nil)
	require.NoError(t, err)
	_, err = SignPolicy(key, nil)
	require.ErrorContains(t, err, "P-256")
}
