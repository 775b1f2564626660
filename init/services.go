package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/init/supervise"
	"github.com/choba-os/choba/init/system"
	"github.com/choba-os/choba/services/table"
)

const confine = "/sbin/confine"

func (m *machine) prepareServices() (err error) {
	if err := os.MkdirAll(table.SocketDir, 0o755); err != nil {
		return err
	}
	m.services, err = supervise.New(supervise.Config{
		Rows: m.table.Rows(), Confine: confine, Sockets: table.SocketDir, Cgroups: cgroupRoot, Namespaces: true,
		Hooks: supervise.Hooks{
			Line:  func(service, line string) { m.console.Line(service + ": " + line) },
			Event: m.serviceEvent,
			Ready: m.ready,
			Feed:  m.feed,
			Late:  m.late,
		},
	})
	if err != nil {
		return err
	}
	var ctx context.Context
	ctx, m.endService = context.WithCancel(context.Background())
	go func() {
		defer close(m.ended)
		if err := m.services.Run(ctx, m.start); err != nil {
			m.console.Say("%v", err)
		}
	}()
	go m.journal.Run(ctx)
	m.journal.Add("boot.start", map[string]any{
		"slot": m.facts.slot, "version": m.facts.version, "root": m.facts.rootHash[:12], "notes": m.facts.notes, "clock": sure(m.clock),
	})
	return nil
}

func sure(err error) string {
	if err != nil {
		return "not sure: " + err.Error()
	}
	return "sure"
}

// startDataless starts what can start before the data is open, so that the screen speaks early. They wait on the
// journal's socket, which is there.
func (m *machine) startDataless() error {
	var names []string
	for _, r := range m.table.Rows() {
		if r.Data == "" {
			names = append(names, r.Name)
		}
	}
	m.start <- names
	return nil
}

func (m *machine) startAll() error {
	var names []string
	for _, r := range m.table.Rows() {
		names = append(names, r.Name)
	}
	m.start <- names
	close(m.start)
	return nil
}

// serviceEvent is called on the supervision's goroutine, as ready is.
func (m *machine) serviceEvent(e supervise.Event) {
	if e.Kind == supervise.Ready {
		if len(m.readyAfter) >= len(m.table.Rows()) {
			return // a later start
		}
		m.readyAfter = append(m.readyAfter, fmt.Sprintf("%s %.2f s", e.Service, e.Ran.Seconds()))
		return // what matters of it is in boot.ready
	}
	content := map[string]any{"service": e.Service, "pid": e.PID, "starts": e.Starts}
	if e.Kind == supervise.Exit {
		content["how"], content["ranMs"] = e.How, e.Ran.Milliseconds()
		next := "for good"
		if e.Next >= 0 {
			next = "again in " + e.Next.String()
		}
		m.console.Say("%s ended (%s) after %v, %s", e.Service, e.How, e.Ran.Round(time.Millisecond), next)
	} else if e.Starts > 1 {
		m.console.Say("%s started again, start %d", e.Service, e.Starts)
	}
	m.journal.Add("service."+e.Kind, content)
}

func (m *machine) late(service string) {
	m.console.Say("%s has been silent for %v; the watchdog is not fed until it speaks", service, supervise.Fresh)
	m.journal.Add("service.late", map[string]string{"service": service})
}

// ready is called when every needed service has said that it is ready. What follows waits for the disk and so runs
// beside the supervision.
func (m *machine) ready() {
	at := system.SinceBoot()
	m.console.Say("ready to sell, %.2f s since boot, %.2f s in init", at.Seconds(), (at - m.began).Seconds())
	services := strings.Join(m.readyAfter, ", ")
	m.console.Say("ready after its start: %s", services)
	go func() {
		content := map[string]any{
			"slot": m.facts.slot, "version": m.facts.version, "bootMs": at.Milliseconds(), "initMs": (at - m.began).Milliseconds(),
			"services": services,
		}
		if err := m.commit(); err != nil {
			m.console.Say("committing slot %s: %v", m.facts.slot, err)
			content["commit"] = err.Error()
		}
		m.journal.Add("boot.ready", content)
	}()
}

// commit writes into the slot record that the running release has reached ready.
func (m *machine) commit() error {
	part := m.disk.Parts[layout.SlotPartition(string(m.facts.slot))]
	f, err := os.Open(part.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	signed, err := release.ReadHead(f, part.Size)
	if err != nil {
		return err
	}
	running, err := release.Check(m.trust, signed, release.Register{Hardware: release.HardwarePC})
	if err != nil {
		return err
	}
	if root := running.Verity.Root.String(); root != m.facts.rootHash {
		return fmt.Errorf("slot %s holds root hash %s, running is %s", m.facts.slot, root, m.facts.rootHash)
	}
	rec, _, err := slot.Load(m.state)
	if err != nil {
		m.console.Say("%v", err) // the default record; MarkReady knows what to do with it
	}
	rec, err = slot.MarkReady(rec, m.facts.slot, running.Version, running.ID)
	if err != nil {
		return err
	}
	return slot.Store(m.state, rec)
}
