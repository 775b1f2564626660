package kernel

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

//go:embed fragments/*.config
var fragments embed.FS

// Fragments returns the texts of the configuration fragments in their order.
func Fragments() ([]string, error) {
	names, err := fs.Glob(fragments, "fragments/*.config")
	if err != nil {
		return nil, fmt.Errorf("listing fragments: %w", err)
	}
	var out []string
	for _, name := range names {
		text, err := fragments.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading fragment: %w", err)
		}
		out = append(out, string(text))
	}
	return out, nil
}

// joined makes one configuration text of the fragments (nil = our own) and
// refuses one that says a thing twice.
func joined(texts []string) ([]byte, error) {
	if texts == nil {
		var err error
		if texts, err = Fragments(); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	for _, text := range texts {
		b.WriteString(strings.TrimRight(text, "\n") + "\n")
	}
	_, err := parseConfig(b.Bytes())
	return b.Bytes(), err
}

// off is the value of a symbol that is not set; Kconfig does not tell apart
// "not set" and "not there", and the gate need not either.
const off = "n"

// parseConfig reads CONFIG_X=value and "# CONFIG_X is not set" lines; other
// comments and empty lines are skipped, anything else is refused.
func parseConfig(text []byte) (map[string]string, error) {
	out := map[string]string{}
	for i, line := range strings.Split(string(text), "\n") {
		symbol, value, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("configuration line %d: %w", i+1, err)
		}
		if symbol == "" {
			continue
		}
		if _, twice := out[symbol]; twice {
			return nil, fmt.Errorf("configuration line %d: %s is said twice", i+1, symbol)
		}
		out[symbol] = value
	}
	return out, nil
}

func parseLine(line string) (symbol, value string, err error) {
	if rest, ok := strings.CutPrefix(line, "# CONFIG_"); ok {
		if name, ok := strings.CutSuffix(rest, " is not set"); ok {
			return "CONFIG_" + name, off, nil
		}
	}
	if line == "" || strings.HasPrefix(line, "#") {
		return "", "", nil
	}
	symbol, value, ok := strings.Cut(line, "=")
	if !ok || !strings.HasPrefix(symbol, "CONFIG_") || strings.ContainsAny(symbol, " \t") || value == "" {
		return "", "", fmt.Errorf("not understood: %q", line)
	}
	return symbol, value, nil
}

// ErrGate is wrapped when Kconfig made something else of the fragments.
var ErrGate = errors.New("the kernel's configuration is not what the fragments say")

// Gate compares every symbol that the fragments name with the finished
// configuration and names each one that was dropped or changed.
func Gate(wanted, finished []byte) error {
	want, err := parseConfig(wanted)
	if err != nil {
		return fmt.Errorf("reading the fragments: %w", err)
	}
	got, err := parseConfig(finished)
	if err != nil {
		return fmt.Errorf("reading the finished configuration: %w", err)
	}
	var wrong []string
	for symbol, value := range want {
		have, there := got[symbol]
		if !there {
			have = off
		}
		if have != value {
			wrong = append(wrong, fmt.Sprintf("%s: want %s, got %s", symbol, value, have))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return fmt.Errorf("%w:\n  %s", ErrGate, strings.Join(wrong, "\n  "))
}

// Symbols counts the symbols of a finished configuration that are on.
func Symbols(finished []byte) (int, error) {
	got, err := parseConfig(finished)
	n := 0
	for _, v := range got {
		if v == "y" {
			n++
		}
	}
	return n, err
}
