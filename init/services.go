package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/choba-os/choba/init/desk"
	"github.com/choba-os/choba/init/supervise"
	"github.com/choba-os/choba/init/system"
	bootapi "github.com/choba-os/choba/services/boot/api"
	"github.com/choba-os/choba/services/table"
)

const confine = "/sbin/confine"

// leaveWord makes the folder of all sockets and puts the facts of this boot there.
func (m *machine) leaveWord() error {
	if err := os.MkdirAll(table.SocketDir, 0o755); err != nil {
		return err
	}
	return m.leaveFacts(bootapi.FactsPath)
}

func (m *machine) prepareServices() (err error) {
	if err := m.answerUpdate(); err != nil {
		return err
	}
	m.services, err = supervise.New(supervise.Config{
		Rows: m.table.Rows(), Confine: confine, Sockets: table.SocketDir, Cgroups: cgroupRoot, Namespaces: true, Trial: m.trial(),
		Hooks: supervise.Hooks{
			Line:    func(service, line string) { m.console.Line(service + ": " + line) },
			Event:   m.serviceEvent,
			Ready:   m.ready,
			Healthy: m.healthy,
			Failed:  m.unhealthy,
			Feed:    m.feed,
			Late:    m.late,
		},
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	m.atEnd("stopping the services", func() error {
		cancel()
		<-ended
		return nil
	})
	go func() {
		defer close(ended)
		if err := m.services.Run(ctx, m.start); err != nil {
			m.console.Say("%v", err)
		}
	}()
	go m.journal.Run(ctx)
	m.journal.Add("boot.start", map[string]any{
		"slot": m.facts.slot, "version": m.facts.version, "root": m.facts.rootHash[:12], "notes": m.facts.notes, "clock": sure(m.clock),
		"trial": m.onTrial.Load(), "jumped": m.facts.jumped, "insecure": m.insecure(), "rebound": m.rebound,
	})
	m.tellHistory()
	return nil
}

// trial is what the running release has to show, nil when it was kept before.
func (m *machine) trial() *supervise.Trial {
	if !m.onTrial.Load() {
		return nil
	}
	left := m.times.ready - (system.SinceBoot() - m.began)
	return &supervise.Trial{ReadyBy: time.Now().Add(left), Soak: m.times.soak}
}

// answerUpdate makes the socket where the row that writes the idle slot may ask. Without such a row there is none.
func (m *machine) answerUpdate() error {
	for _, r := range m.table.Rows() {
		if !r.IdleSlot {
			continue
		}
		ln, err := desk.Listen(bootapi.Socket)
		if err != nil {
			return err
		}
		d := desk.Server{UID: r.UID, Slots: slots{m}, Say: func(s string) { m.console.Say("%s", s) }}
		go func() {
			if err := d.Run(context.Background(), ln); err != nil {
				m.console.Say("%v", err)
			}
		}()
	}
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
