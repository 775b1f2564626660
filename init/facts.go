package main

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/keys/seal"
)

// facts is what recovery says about this boot. None of it is believed for anything that protects data: the TPM holds
// what was measured against what the vendor signed.
type facts struct {
	slot     slot.Name
	rootHash string // of the running system, lower-case hex
	version  uint64 // of the release
	approval []byte // the vendor's signature over this release's PCR 13
	notes    string // what recovery had to note
}

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
	return f, nil
}

// String is the facts as one line for the console.
func (f facts) String() string {
	s := fmt.Sprintf("slot %s version %d root %s…", f.slot, f.version, f.rootHash[:min(12, len(f.rootHash))])
	if f.notes != "" {
		s += "; recovery notes: " + f.notes
	}
	return s
}
