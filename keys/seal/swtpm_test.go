package seal

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/keys/seal/sealtest"
)

// chip is a software TPM whose power can be cut: its seeds survive, its PCRs do not.
type chip struct {
	t *testing.T
	*sealtest.Chip
	*TPM
}

// newChip starts a fresh swtpm; without one installed the test is skipped.
func newChip(t *testing.T) *chip {
	t.Helper()
	return chipWith(t, nil)
}

// chipWith starts a swtpm that remembers.
func chipWith(t *testing.T, memory sealtest.Memory) *chip {
	t.Helper()
	if !sealtest.Available() {
		t.Skip("no swtpm installed")
	}
	c := &chip{t: t, Chip: sealtest.New(t.TempDir())}
	require.NoError(t, memory.Write(c.State))
	c.TPM = New(c.Chip)
	require.NoError(t, c.PowerOn())
	t.Cleanup(c.Off)
	return c
}

// boot cuts the power and plays a boot: the firmware measures image and secure
// boot state, then the events follow.
func (c *chip) boot(image, secureBoot string, events ...Event) {
	c.Off()
	require.NoError(c.t, c.PowerOn())
	require.NoError(c.t, c.Extend(pcrImage, Event(image).digest()))
	require.NoError(c.t, c.Extend(pcrSecureBoot, Event(secureBoot).digest()))
	for _, e := range events {
		require.NoError(c.t, c.Measure(e))
	}
}

var ownerOne = Owner(secret)

// newOwned is a chip with an owner and a floor of 0.
func newOwned(t *testing.T) *chip {
	c := newChip(t)
	require.NoError(t, c.Own(ownerOne, 0))
	return c
}
