package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/choba-os/choba/services/ports/policy"
	"github.com/choba-os/choba/services/table"
)

// maxSystem is what design section 11 allows a slot, in bytes.
const maxSystem = 64 << 20

// Where the image's configuration comes from, in the repository.
const (
	tableFile = "services/table/table.json"
	portsFile = "services/ports/policy/bench.json" // the virtual hardware's
)

// items returns everything that the EROFS holds, but for its mount points.
func (j *job) items() ([]item, error) {
	tableText, err := j.table()
	if err != nil {
		return nil, err
	}
	ports, err := os.ReadFile(filepath.Join(j.root, portsFile))
	if err != nil {
		return nil, err
	}
	if _, err := policy.Parse(ports); err != nil {
		return nil, fmt.Errorf("%s: %w", portsFile, err)
	}
	list := []item{
		plain("/etc/choba/table.json", tableText),
		plain("/etc/choba/trust.txt", j.keys.Trust),
		plain("/etc/choba/ports.json", ports),
		plain("/etc/choba/root.json", j.repositoryRoot),
		plain("/etc/choba/update.json", j.source),
		link("/etc/resolv.conf", "/run/network/resolv.conf"), // what the network service found
		plain("/share/shop.pack", j.pack),
		plain("/share/empty.ext4.gz", j.ext4),
		plain("/boot/boot.efi", j.boot),
		plain("/boot/boot.id", j.bootID),
	}
	for _, p := range j.programsInside() {
		data, err := os.ReadFile(j.programs[p.pkg])
		if err != nil {
			return nil, err
		}
		list = append(list, executable(p.path, data))
	}
	return complete(append(list, j.faultItems()...))
}

// programsInside are the programs with their paths in the EROFS. In a test image
// the probe's own confine stands before the real one, so that the probe alone is
// let through.
func (j *job) programsInside() []program {
	var list []program
	for _, p := range j.config.programs() {
		if p.path == "" {
			continue
		}
		if j.probe && p.pkg == "./init/confine" {
			p.path += ".real"
		}
		list = append(list, p)
	}
	return list
}

// probeRow is the probe's line of the service table, in test images only.
const probeRow = `,
  {"name": "probe", "binary": "/svc/probe", "args": [], "uid": 999, "callers": [], "data": "/data/probe", "devices": [],
   "read": ["/etc/choba"], "network": false, "memoryMiB": 64, "pids": 64, "files": 256, "health": false}
]
`

// table returns the service table after checking that it is one and that the image
// holds every binary that it names.
func (j *job) table() ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(j.root, tableFile))
	if err != nil {
		return nil, err
	}
	if j.probe {
		body, ok := bytes.CutSuffix(bytes.TrimSpace(text), []byte("]"))
		if !ok {
			return nil, fmt.Errorf("%s: does not end in ]", tableFile)
		}
		text = append(bytes.TrimSpace(body), probeRow...)
	}
	if text, err = j.blind(text); err != nil {
		return nil, err
	}
	t, err := table.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tableFile, err)
	}
	have := map[string]bool{}
	for _, p := range j.programsInside() {
		have[p.path] = true
	}
	for _, r := range t.Rows() {
		if !have[r.Binary] {
			return nil, fmt.Errorf("%s: row %s: the image has no %s", tableFile, r.Name, r.Binary)
		}
	}
	return text, nil
}
