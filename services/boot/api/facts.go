package api

import (
	"fmt"
	"os"

	"github.com/choba-os/choba/services/table"
)

// FactsPath is where init leaves, before it starts the first service, what a person at the register should know about
// this boot. Any service whose /run shows it may read it; it never changes while the register runs.
const FactsPath = table.Facts

// What a register may lack and sell nevertheless, because its trust list says so.
const (
	NoTPM        = "no-tpm"         // the data key lies in clear on the disk
	NoSecureBoot = "no-secure-boot" // nobody vouches for what started
)

// Facts is the contents of FactsPath.
type Facts struct {
	Version  uint64    `json:"version"`
	Name     string    `json:"name"`
	Slot     string    `json:"slot"`
	Insecure []string  `json:"insecure"` // NoTPM, NoSecureBoot; empty on a whole register
	Fallback *Fallback `json:"fallback"` // null, or why an older release runs
}

// ParseFacts reads the contents of FactsPath. Unknown fields are errors.
func ParseFacts(text []byte) (Facts, error) {
	var f Facts
	if err := decode(text, &f); err != nil {
		return Facts{}, fmt.Errorf("reading the facts of this boot: %w", err)
	}
	return f, nil
}

// LoadFacts reads the facts at path, usually FactsPath.
func LoadFacts(path string) (Facts, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Facts{}, fmt.Errorf("reading the facts of this boot: %w", err)
	}
	return ParseFacts(text)
}
