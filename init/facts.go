package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/keys/seal"
	bootapi "github.com/choba-os/choba/services/boot/api"
)

// facts is what recovery says about this boot. None of it is believed for anything that protects data: the TPM holds
// what was measured against what the vendor signed.
type facts struct {
	slot     slot.Name
	rootHash string // of the running system, lower-case hex
	version  uint64 // of the release
	approval []byte // the vendor's signature over this release's PCR 13
	notes    string // what recovery had to note
	jumped   bool   // this kernel came out of the slot, through kexec
	// events are the digests of the firmware's log for PCR 4, in order; empty without a log.
	events []seal.Digest
	// open are the protections that this register lacks and sells without, because its trust list says so.
	open []string
}

// maxEvents bounds the firmware's log of PCR 4: boot options that were tried, and the one that started.
const maxEvents = 64

// parseFacts reads the environment that recovery gave.
func parseFacts(environ []string) (facts, error) {
	env := map[string]string{}
	for _, e := range environ {
		if k, v, ok := strings.Cut(e, "="); ok {
			env[k] = v
		}
	}
	f := facts{slot: slot.Name(env["CHOBA_SLOT"]), rootHash: env["CHOBA_ROOTHASH"], notes: env["CHOBA_BOOT_NOTES"]}
	if f.slot != slot.A && f.slot != slot.B {
		return facts{}, fmt.Errorf("CHOBA_SLOT is %q, want a or b", f.slot)
	}
	if len(f.rootHash) != 64 || strings.Trim(f.rootHash, "0123456789abcdef") != "" {
		return facts{}, fmt.Errorf("CHOBA_ROOTHASH is %q, want 64 hex digits", f.rootHash)
	}
	var err error
	if f.version, err = strconv.ParseUint(env["CHOBA_VERSION"], 10, 64); err != nil {
		return facts{}, fmt.Errorf("CHOBA_VERSION: %w", err)
	}
	if f.approval, err = base64.StdEncoding.DecodeString(env["CHOBA_POLICY_SIG"]); err != nil {
		return facts{}, fmt.Errorf("CHOBA_POLICY_SIG: %w", err)
	}
	if len(f.approval) != seal.SignatureSize {
		return facts{}, fmt.Errorf("CHOBA_POLICY_SIG has %d bytes, want %d", len(f.approval), seal.SignatureSize)
	}
	return f, f.parseBoot(env)
}

// parseBoot reads how the kernel was started. An absent variable is an older recovery's, which did not jump.
func (f *facts) parseBoot(env map[string]string) error {
	switch env["CHOBA_JUMPED"] {
	case "", "0":
	case "1":
		f.jumped = true
	default:
		return fmt.Errorf("CHOBA_JUMPED is %.20q, want 0 or 1", env["CHOBA_JUMPED"])
	}
	for _, text := range list(env["CHOBA_PCR4_EVENTS"]) {
		raw, err := hex.DecodeString(text)
		if err != nil || len(raw) != len(seal.Digest{}) || len(f.events) == maxEvents {
			return fmt.Errorf("CHOBA_PCR4_EVENTS: want at most %d digests of 64 hex digits", maxEvents)
		}
		f.events = append(f.events, seal.Digest(raw))
	}
	for _, word := range list(env["CHOBA_OPEN"]) {
		if word != bootapi.NoTPM && word != bootapi.NoSecureBoot || slices.Contains(f.open, word) {
			return fmt.Errorf("CHOBA_OPEN is %.60q", env["CHOBA_OPEN"])
		}
		f.open = append(f.open, word)
	}
	return nil
}

func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// without says whether the register lacks this protection and may sell nevertheless.
func (f facts) without(what string) bool { return slices.Contains(f.open, what) }

// String is the facts as one line for the console.
func (f facts) String() string {
	s := fmt.Sprintf("slot %s version %d root %s…", f.slot, f.version, f.rootHash[:min(12, len(f.rootHash))])
	if f.jumped {
		s += "; its own kernel"
	}
	if len(f.open) > 0 {
		s += "; INSECURE: " + strings.Join(f.open, ", ")
	}
	if f.notes != "" {
		s += "; recovery notes: " + f.notes
	}
	return s
}
