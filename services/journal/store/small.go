package store

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/choba-os/choba/services/journal/entry"
)

// maxSmall bounds the files that are read whole.
const maxSmall = 64 << 10

func (s *Store) readSmall(name string) ([]byte, error) {
	f, err := s.opt.Disk.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if size > maxSmall {
		return nil, fmt.Errorf("reading %s: larger than %d bytes", name, maxSmall)
	}
	text := make([]byte, size)
	if _, err := f.ReadAt(text, 0); err != nil && err != io.EOF {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return text, nil
}

// writeSmall makes a file appear whole and durable, or not at all.
func (s *Store) writeSmall(name string, text []byte) error {
	err := s.writeAside(name+newSuffix, text)
	if err == nil {
		err = s.opt.Disk.Rename(name+newSuffix, name)
	}
	if err == nil {
		err = s.opt.Disk.SyncDir(".")
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

func (s *Store) writeAside(name string, text []byte) error {
	f, err := s.opt.Disk.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteAt(text, 0); err != nil {
		return err
	}
	return f.Sync()
}

// ownEvent makes an event of the journal itself.
func ownEvent(kind string, content any) (entry.Event, error) {
	text, err := json.Marshal(content)
	if err != nil {
		return entry.Event{}, fmt.Errorf("writing %s: %w", kind, err)
	}
	return entry.Event{Kind: kind, Content: text}.Normal()
}
