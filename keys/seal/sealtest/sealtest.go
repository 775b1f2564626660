// Package sealtest is a software TPM (swtpm) whose power can be cut and whose
// memory can be copied, for the tests of what is kept in a TPM.
//
// It is for tests only, and does not know keys or policies. The rule that keeps
// it small: a process, its wire, and a count of what crossed it.
package sealtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"
)

// ErrPower is what a command gives once the power is gone.
var ErrPower = errors.New("power cut")

// Available says whether this machine has the emulator.
func Available() bool {
	_, err := exec.LookPath("swtpm")
	return err == nil
}

// Chip is one TPM. Its seeds and what is written to it stay in the folder State;
// its PCRs live from one PowerOn to the next. It is a transport.TPM.
type Chip struct {
	State string

	// Left is how many commands are still carried out before the power goes; -1 = all.
	Left int
	// Log is the codes of the commands carried out since PowerOn.
	Log []tpm2.TPMCC
	// After, when set, runs after each command was carried out.
	After func()

	wire transport.TPMCloser
	cmd  *exec.Cmd
	dir  string
}

// New returns a chip that keeps its memory in the folder state, power off.
func New(state string) *Chip { return &Chip{State: state, Left: -1} }

// PowerOn starts the chip with untouched PCRs.
func (c *Chip) PowerOn() (err error) {
	if c.dir, err = os.MkdirTemp("", "swtpm"); err != nil { // short: a socket's path has at most 107 bytes
		return err
	}
	socket := filepath.Join(c.dir, "s")
	c.cmd = exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+c.State,
		"--server", "type=unixio,path="+socket, "--ctrl", "type=unixio,path="+filepath.Join(c.dir, "c"),
		"--flags", "not-need-init,startup-clear")
	if err := c.cmd.Start(); err != nil {
		return err
	}
	c.Left, c.Log = -1, nil
	end := time.Now().Add(20 * time.Second)
	for {
		if c.wire, err = linuxudstpm.Open(socket); err == nil {
			_, err = tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: uint32(tpm2.TPMPTPermanent), PropertyCount: 1}.Execute(c.wire)
		}
		if err == nil || time.Now().After(end) {
			return err
		}
		<-time.After(2 * time.Millisecond)
	}
}

// Off cuts the power.
func (c *Chip) Off() {
	if c.cmd == nil {
		return
	}
	_ = c.wire.Close()
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
	_ = os.RemoveAll(c.dir)
	c.cmd = nil
}

// Send carries out one command.
func (c *Chip) Send(command []byte) ([]byte, error) {
	if c.Left == 0 || c.cmd == nil {
		return nil, ErrPower
	}
	c.Left--
	answer, err := c.wire.Send(command)
	if err != nil {
		return nil, err
	}
	c.Log = append(c.Log, tpm2.TPMCC(uint32(command[6])<<24|uint32(command[7])<<16|uint32(command[8])<<8|uint32(command[9])))
	if c.After != nil {
		c.After()
	}
	return answer, nil
}

// Extend measures a digest into a PCR, as firmware does.
func (c *Chip) Extend(pcr uint32, digest [32]byte) error {
	_, err := tpm2.PCRExtend{PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(pcr), Auth: tpm2.PasswordAuth(nil)},
		Digests: tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: digest[:]}}}}.Execute(c.wire)
	return err
}

// Memory is a copy of what the chip keeps without power.
type Memory map[string][]byte

// Memory copies what the chip keeps. It may be asked while the chip runs.
func (c *Chip) Memory() (Memory, error) {
	m := Memory{}
	files, err := os.ReadDir(c.State)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(c.State, f.Name()))
		if err != nil {
			return nil, err
		}
		m[f.Name()] = b
	}
	return m, nil
}

// Write gives a chip that is off the memory m.
func (m Memory) Write(state string) error {
	for name, b := range m {
		if err := os.WriteFile(filepath.Join(state, name), b, 0o600); err != nil {
			return fmt.Errorf("setting a chip's memory: %w", err)
		}
	}
	return nil
}
