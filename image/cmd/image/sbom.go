package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The bill of materials is CycloneDX 1.5 in JSON, cut to what we know for certain:
// each program with its hash, each module with the version that its linker saw, the
// Go release, the kernel, and the boot image.
type bom struct {
	Format     string      `json:"bomFormat"`
	Spec       string      `json:"specVersion"`
	Version    int         `json:"version"`
	Metadata   bomMetadata `json:"metadata"`
	Components []component `json:"components"`
}

type bomMetadata struct {
	Component component `json:"component"`
}

type component struct {
	Type    string    `json:"type"`
	Name    string    `json:"name"`
	Version string    `json:"version,omitempty"`
	PURL    string    `json:"purl,omitempty"`
	Hashes  []bomHash `json:"hashes,omitempty"`
}

type bomHash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

// materials reads what the linker wrote into every program and lists it.
func (j *job) materials() ([]byte, error) {
	modules := map[string]component{}
	b := bom{Format: "CycloneDX", Spec: "1.5", Version: 1}
	b.Metadata.Component = component{Type: "operating-system", Name: j.trust.Product, Version: j.name}
	for _, p := range j.config.programs() {
		path := j.programs[p.pkg]
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading what %s was built from: %w", p.pkg, err)
		}
		release := strings.TrimPrefix(info.GoVersion, "go")
		modules["std"] = component{Type: "library", Name: "std", Version: release, PURL: "pkg:golang/std@" + release}
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			modules[m.Path] = component{Type: "library", Name: m.Path, Version: m.Version, PURL: "pkg:golang/" + m.Path + "@" + m.Version}
		}
		sum, err := hashFile(path)
		if err != nil {
			return nil, err
		}
		b.Components = append(b.Components, hashed(info.Path, sum.SHA256[:]))
	}
	linux, err := linuxVersion(j.boot)
	if err != nil {
		return nil, err
	}
	b.Components = append(b.Components, component{Type: "operating-system", Name: "linux", Version: linux, PURL: "pkg:generic/linux@" + linux})
	boot := sha256.Sum256(j.boot)
	b.Components = append(b.Components, hashed("boot.efi (Linux and recovery)", boot[:]))
	for _, m := range modules {
		b.Components = append(b.Components, m)
	}
	slices.SortFunc(b.Components, func(x, y component) int {
		return strings.Compare(x.Type+" "+x.Name, y.Type+" "+y.Name)
	})
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", " ")
	if err := enc.Encode(b); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// linuxVersion reads the release out of a kernel's setup header (Linux,
// Documentation/arch/x86/boot.rst: field kernel_version at 0x20e).
func linuxVersion(boot []byte) (string, error) {
	if len(boot) < 0x210 || string(boot[0x202:0x206]) != "HdrS" {
		return "", errors.New("reading the kernel's version: the boot image has no setup header")
	}
	at := 0x200 + int(binary.LittleEndian.Uint16(boot[0x20e:]))
	if at >= len(boot) {
		return "", errors.New("reading the kernel's version: it lies behind the end")
	}
	version, _, found := strings.Cut(string(boot[at:min(at+64, len(boot))]), " ")
	if !found || version == "" {
		return "", errors.New("reading the kernel's version: not a version")
	}
	return version, nil
}

func hashed(name string, sum []byte) component {
	return component{Type: "application", Name: name, Hashes: []bomHash{{"SHA-256", hex.EncodeToString(sum)}}}
}
