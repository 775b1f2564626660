package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/choba-os/choba/image/history"
	"github.com/choba-os/choba/image/slot"
	bootapi "github.com/choba-os/choba/services/boot/api"
)

// loadState reads the slot record and the history. A record that was lost is the default one, and an error to be said.
func (m *machine) loadState() (slot.Record, []history.Entry, error) {
	m.stateMu.Lock()
	defer m.stateMu.Unlock()
	past, herr := history.Load(m.state)
	rec, _, err := slot.Load(m.state)
	if err == nil {
		err = herr
	}
	return rec, past, err
}

// change reads the slot record, has do change it, and stores it durably.
func (m *machine) change(do func(slot.Record) (slot.Record, error)) (slot.Record, error) {
	m.stateMu.Lock()
	defer m.stateMu.Unlock()
	rec, _, err := slot.Load(m.state)
	if err != nil {
		m.console.Say("%v", err) // the default record; do knows what to do with it
	}
	if rec, err = do(rec); err != nil {
		return rec, err
	}
	return rec, slot.Store(m.state, rec)
}

// mostNews bounds how many records of the history are copied in one boot: the journal's queue has other guests.
const mostNews = 64

// tellHistory queues what recovery and init wrote down while there was no journal, oldest first. When the journal has
// the last of it, that is marked; cut before, the next boot tells it again: twice is better than never.
func (m *machine) tellHistory() {
	_, past, err := m.loadState()
	if err != nil {
		m.console.Say("%v", err)
	}
	news := history.Fresh(past)
	news = news[:min(len(news), mostNews)]
	for i, e := range news {
		var then func()
		if i == len(news)-1 {
			then = func() { m.markTold(e.Seq) }
		}
		m.journal.AddThen("recovery."+e.Kind, told{e.Seq, e.Wall.UTC().Format(time.RFC3339), json.RawMessage(e.Text)}, then)
	}
}

// told is a record of the history as the journal gets it.
type told struct {
	Seq    uint64          `json:"seq"`
	At     string          `json:"at"` // by the clock of that boot
	Record json.RawMessage `json:"record"`
}

func (m *machine) markTold(seq uint64) {
	m.stateMu.Lock()
	defer m.stateMu.Unlock()
	if err := history.MarkCopied(m.state, seq); err != nil {
		m.console.Say("%v", err)
	}
}

// leaveFacts writes what a person at the register should know, for the services that show it.
func (m *machine) leaveFacts(path string) error {
	f := bootapi.Facts{
		Version: m.facts.version, Name: m.running.Name, Slot: string(m.facts.slot), Insecure: m.insecure(), Fallback: m.fallback,
	}
	text, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("writing the facts of this boot: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Chmod(path, 0o644) // whatever the umask is
}

// insecure is what this register lacks and sells without.
func (m *machine) insecure() []string {
	out := []string{}
	if m.facts.without(bootapi.NoTPM) || m.tpm == nil {
		out = append(out, bootapi.NoTPM)
	}
	if m.facts.without(bootapi.NoSecureBoot) {
		out = append(out, bootapi.NoSecureBoot)
	}
	return out
}
