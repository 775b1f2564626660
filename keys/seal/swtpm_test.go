package seal

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"
	"github.com/stretchr/testify/require"
)

// chip is a software TPM whose power can be cut: its seeds survive, its PCRs do not.
type chip struct {
	t     *testing.T
	state string
	wire  transport.TPMCloser
	off   func() // cuts the power
	*TPM
}

// newChip starts a fresh swtpm; without one installed the test is skipped.
func newChip(t *testing.T) *chip {
	t.Helper()
	if _, err := exec.LookPath("swtpm"); err != nil {
		t.Skip("no swtpm installed")
	}
	c := &chip{t: t, state: t.TempDir()}
	c.powerOn()
	return c
}

func (c *chip) powerOn() {
	dir, err := os.MkdirTemp("", "swtpm") // short: a socket's path has at most 107 bytes
	require.NoError(c.t, err)
	socket := filepath.Join(dir, "s")
	cmd := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+c.state,
		"--server", "type=unixio,path="+socket, "--ctrl", "type=unixio,path="+filepath.Join(dir, "c"),
		"--flags", "not-need-init,startup-clear")
	require.NoError(c.t, cmd.Start())
	c.off = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	})
	c.t.Cleanup(c.off)
	require.Eventually(c.t, func() bool {
		if c.wire, err = linuxudstpm.Open(socket); err != nil {
			return false
		}
		c.TPM = New(c.wire)
		_, err = c.Choice()
		return err == nil
	}, 20*time.Second, 5*time.Millisecond)
}

// boot cuts the power and plays a boot: the firmware measures image and secure
// boot state, then the events follow.
func (c *chip) boot(image, secureBoot string, events ...Event) {
	c.off()
	c.powerOn()
	c.extend(pcrImage, image)
	c.extend(pcrSecureBoot, secureBoot)
	for _, e := range events {
		require.NoError(c.t, c.Measure(e))
	}
}

func (c *chip) extend(pcr uint32, text string) {
	d := Event(text).digest()
	_, err := tpm2.PCRExtend{PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(pcr), Auth: tpm2.PasswordAuth(nil)},
		Digests: tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: d[:]}}}}.Execute(c.wire)
	require.NoError(c.t, err)
}

var ownerOne = Owner(secret)

// newOwned is a chip with an owner and a floor of 0.
func newOwned(t *testing.T) *chip {
	c := newChip(t)
	require.NoError(t, c.Own(ownerOne, 0))
	return c
}
