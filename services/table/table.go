// Package table reads the service table: what runs, as whom, with which devices, and who may call whom.
//
// There is one such table in the product. It is packed into the verified image as /etc/choba/table.json, init reads
// it to start and confine the services, a service reads it to know its callers, and a test reads it at build time.
// The package is not a configuration system: it has no defaults, no second place to look and no way to change a
// table that was read. The rule that keeps it small: a row says what init or a server must know to refuse something,
// and nothing that only the service itself would want to know.
//
// The format is described in docs/formats/table.md.
package table

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Path is where the table lies in the image.
const Path = "/etc/choba/table.json"

// Init is the name under which init (uid 0) appears among the callers.
const Init = "init"

// maxSize bounds a table file; the product's own is about 3 KiB.
const maxSize = 1 << 20

// Row is one service. The rows' order is the order of starting, and the order of trust: a service is called only by
// rows below its own, or by init.
type Row struct {
	Name    string   `json:"name"`    // a-z, 0-9, '-'; also the socket's name
	Binary  string   `json:"binary"`  // under /svc
	Args    []string `json:"args"`    // without the program's name
	UID     uint32   `json:"uid"`     // 900 … 999, user and group alike
	Callers []string `json:"callers"` // names of rows, or "init"

	// Kinds says, for a service that keeps events, which kinds each caller may append: prefixes that end in '.'.
	// A caller that is named with an empty list may call and may append nothing.
	Kinds map[string][]string `json:"kinds,omitempty"`

	Data     string   `json:"data,omitempty"`     // own folder under /data, or none
	Devices  []string `json:"devices"`            // patterns of device nodes that become the row's own
	USBGuard bool     `json:"usbGuard,omitempty"` // owns the `authorized` files and own nodes of USB devices
	IdleSlot bool     `json:"idleSlot,omitempty"` // owns the device node of the slot that is not running
	Run      string   `json:"run,omitempty"`      // own folder /run/NAME, or none; others see it whose Read names it
	Read     []string `json:"read"`               // files and folders it may read besides its binary
	Network  bool     `json:"network"`            // false: a network namespace of its own, with nothing in it
	Groups   []string `json:"groups,omitempty"`   // system call groups beyond the common list, see Groups
	Rights   []string `json:"rights,omitempty"`   // capabilities it keeps, see Rights; almost always none

	MemoryMiB int  `json:"memoryMiB"`        // memory.max of its cgroup
	PIDs      int  `json:"pids"`             // pids.max of its cgroup: threads
	Files     int  `json:"files"`            // RLIMIT_NOFILE
	Urgent    bool `json:"urgent,omitempty"` // goes before the others when the processor is busy: its device does not wait
	Health    bool `json:"health"`           // must be ready before the register may sell, and alive while it sells
}

// Socket is the path of the row's listening socket.
func (r Row) Socket() string { return Socket(r.Name) }

// SocketDir holds the sockets of all services.
const SocketDir = "/run/choba"

// IdleNode is the block device of the slot that is not running, as the row with idleSlot sees it: a node that init
// makes for it in a folder of its own. The kernel's node of the same partition stays root's.
const IdleNode = "/dev/choba/idle"

// RunningNode is the block device of the slot that runs, for the same row: it may read it and nothing else (root's, the
// row's group, mode 0440). An update takes the blocks from there that did not change.
const RunningNode = "/dev/choba/running"

// Facts is the one file under /run that any row's Read may name: what init says of this boot.
const Facts = SocketDir + "/facts.json"

// InitSocket is where init itself listens; it is there for the row with IdleSlot.
const InitSocket = SocketDir + "/init.sock"

// Socket is the path of the named service's listening socket.
func Socket(name string) string { return SocketDir + "/" + name + ".sock" }

// T is a table that was checked. The zero value has no rows: nobody is known, nobody may call anybody.
type T struct {
	rows []Row
}

// Load reads and checks the table at path.
func Load(path string) (T, error) {
	f, err := os.Open(path)
	if err != nil {
		return T{}, fmt.Errorf("reading the service table: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return T{}, fmt.Errorf("reading the service table: %w", err)
	}
	return Parse(text)
}

// Parse reads and checks a table. Unknown fields and anything after the list are errors.
func Parse(text []byte) (T, error) {
	if len(text) > maxSize {
		return T{}, errors.New("reading the service table: larger than 1 MiB")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var rows []Row
	if err := d.Decode(&rows); err != nil {
		return T{}, fmt.Errorf("reading the service table: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return T{}, errors.New("reading the service table: something follows the list")
	}
	if err := check(rows); err != nil {
		return T{}, fmt.Errorf("reading the service table: %w", err)
	}
	return T{rows: rows}, nil
}

// Rows are the services in start order. The slice is the caller's to keep.
func (t T) Rows() []Row { return slices.Clone(t.rows) }

// Row is the named service.
func (t T) Row(name string) (Row, bool) {
	for _, r := range t.rows {
		if r.Name == name {
			return r, true
		}
	}
	return Row{}, false
}

// RunOwner is the row whose own folder under /run this is.
func (t T) RunOwner(path string) (Row, bool) {
	for _, r := range t.rows {
		if path != "" && r.Run == path {
			return r, true
		}
	}
	return Row{}, false
}

// NameOf is the service that runs as uid: "init" for 0, "" for a stranger.
func (t T) NameOf(uid uint32) string {
	if uid == 0 {
		return Init
	}
	for _, r := range t.rows {
		if r.UID == uid {
			return r.Name
		}
	}
	return ""
}

// May says whether caller may call callee.
func (t T) May(caller, callee string) bool {
	r, ok := t.Row(callee)
	return ok && caller != "" && slices.Contains(r.Callers, caller)
}

// Calls are the services that the named one may call, in table order.
func (t T) Calls(caller string) []string {
	var out []string
	for _, r := range t.rows {
		if t.May(caller, r.Name) {
			out = append(out, r.Name)
		}
	}
	return out
}

// Kinds are the prefixes of the event kinds that caller may append, over all rows that keep events.
func (t T) Kinds(caller string) []string {
	var out []string
	for _, r := range t.rows {
		out = append(out, r.Kinds[caller]...)
	}
	return out
}
