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
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// The bill of materials is CycloneDX 1.5 in JSON, cut to what we know for certain:
// each program with its hash, each module with the version and sum that its linker
// saw, and which program holds it; the Go release, the kernel, the typefaces, and the
// boot image. It says no time, so that the same build gives the same bytes.
type bom struct {
	Schema       string       `json:"$schema"`
	Format       string       `json:"bomFormat"`
	Spec         string       `json:"specVersion"`
	Serial       string       `json:"serialNumber"`
	Version      int          `json:"version"`
	Metadata     bomMetadata  `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type bomMetadata struct {
	Component component `json:"component"`
}

type component struct {
	Type       string       `json:"type"`
	Ref        string       `json:"bom-ref"`
	Name       string       `json:"name"`
	Version    string       `json:"version,omitempty"`
	Hashes     []bomHash    `json:"hashes,omitempty"`
	Licenses   []bomLicense `json:"licenses,omitempty"`
	PURL       string       `json:"purl,omitempty"`
	Properties []property   `json:"properties,omitempty"`
}

type bomHash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type bomLicense struct {
	License struct {
		ID string `json:"id"` // SPDX
	} `json:"license"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn"`
}

// materials reads what the linker wrote into every program and lists it.
func (j *job) materials() ([]byte, error) {
	b := bom{Schema: "http://cyclonedx.org/schema/bom-1.5.schema.json", Format: "CycloneDX", Spec: "1.5", Version: 1}
	b.Metadata.Component = component{Type: "operating-system", Ref: "product", Name: j.trust.Product, Version: j.name}
	all := map[string]component{}
	whole := dependency{Ref: "product"}
	for _, p := range j.config.programs() {
		program, modules, err := programMaterials(j.programs[p.pkg])
		if err != nil {
			return nil, err
		}
		holds := dependency{Ref: program.Ref}
		for _, m := range modules {
			all[m.Ref] = m
			holds.DependsOn = append(holds.DependsOn, m.Ref)
		}
		if _, twice := all[program.Ref]; !twice { // in tests one program stands for all
			b.Dependencies = append(b.Dependencies, holds)
			whole.DependsOn = append(whole.DependsOn, program.Ref)
		}
		all[program.Ref] = program
	}
	others, err := j.otherMaterials()
	if err != nil {
		return nil, err
	}
	for _, c := range others {
		all[c.Ref] = c
		whole.DependsOn = append(whole.DependsOn, c.Ref)
	}
	b.Dependencies = append(b.Dependencies, whole)
	for _, ref := range slices.Sorted(maps.Keys(all)) {
		b.Components = append(b.Components, all[ref])
	}
	slices.SortFunc(b.Dependencies, func(x, y dependency) int { return strings.Compare(x.Ref, y.Ref) })
	for _, d := range b.Dependencies {
		slices.Sort(d.DependsOn)
	}
	return b.encode()
}

// encode numbers the list by its own contents.
func (b bom) encode() ([]byte, error) {
	text, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // RFC 9562: version 8, made of a hash
	b.Serial = fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", " ")
	if err := enc.Encode(b); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// programMaterials is what one program is and holds.
func programMaterials(path string) (program component, modules []component, err error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return program, nil, fmt.Errorf("reading what %s was built from: %w", path, err)
	}
	sum, err := hashFile(path)
	if err != nil {
		return program, nil, err
	}
	goRelease := strings.TrimPrefix(info.GoVersion, "go")
	modules = append(modules, library("std", goRelease, ""))
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		modules = append(modules, library(m.Path, m.Version, m.Sum))
	}
	return hashed("application", info.Path, sum.SHA256), modules, nil
}

func library(path, version, sum string) component {
	purl := "pkg:golang/" + path + "@" + version
	c := component{Type: "library", Ref: purl, Name: path, Version: version, PURL: purl}
	if sum != "" {
		c.Properties = []property{{"go:sum", sum}}
	}
	return c
}

func hashed(kind, name string, sum [sha256.Size]byte) component {
	return component{Type: kind, Ref: kind + ":" + name, Name: name, Hashes: []bomHash{{"SHA-256", hex.EncodeToString(sum[:])}}}
}

func (c component) under(license string) component {
	var l bomLicense
	l.License.ID = license
	c.Licenses = []bomLicense{l}
	return c
}

// typefaceDir holds the typefaces, one folder each, in the repository.
const typefaceDir = "drivers/display/fonts"

// otherMaterials are the kernel, the boot image and the typefaces, which no linker
// lists.
func (j *job) otherMaterials() ([]component, error) {
	linux, err := linuxVersion(j.boot)
	if err != nil {
		return nil, err
	}
	purl := "pkg:generic/linux@" + linux
	list := []component{
		component{Type: "operating-system", Ref: purl, Name: "linux", Version: linux, PURL: purl}.under("GPL-2.0-only"),
		hashed("file", "boot.efi (Linux and recovery)", sha256.Sum256(j.boot)),
	}
	faces, err := filepath.Glob(filepath.Join(j.root, typefaceDir, "*", "*.ttf"))
	if err != nil || len(faces) == 0 {
		return nil, fmt.Errorf("no typefaces in %s: %w", typefaceDir, err)
	}
	for _, path := range faces {
		sum, err := hashFile(path)
		if err != nil {
			return nil, err
		}
		name, err := filepath.Rel(j.root, path)
		if err != nil {
			return nil, err
		}
		list = append(list, hashed("file", "BIZ UDGothic (cut): "+filepath.ToSlash(name), sum.SHA256).under("OFL-1.1"))
	}
	return list, nil
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
