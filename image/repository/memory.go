package repository

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// memory is what a register knows of earlier repositories. It is one file, so that
// a power cut leaves the old or the new and never a mixture:
//
//	choba repository memory 1 <sha256 of the rest, hex>
//	{"roots":[…],"timestamp":…,"snapshot":…,"targets":…,"seen":"…"}
//
// with the metadata files in base64. The hash tells damage; forgery would have to
// break the signatures inside, which are checked anew every time, but for the time.
type memory struct {
	Roots     [][]byte  `json:"roots"` // those that follow the built-in root, oldest first
	Timestamp []byte    `json:"timestamp"`
	Snapshot  []byte    `json:"snapshot"`
	Targets   []byte    `json:"targets"`
	Seen      time.Time `json:"seen"` // latest time at which metadata was good, to the hour
}

const (
	memoryFile = "memory"
	memoryLine = "choba repository memory 1 %x\n"
	maxMemory  = 16 << 20 // some hundred roots
)

func (m memory) equal(o memory) bool {
	return slices.EqualFunc(m.Roots, o.Roots, bytes.Equal) && bytes.Equal(m.Timestamp, o.Timestamp) &&
		bytes.Equal(m.Snapshot, o.Snapshot) && bytes.Equal(m.Targets, o.Targets) && m.Seen.Equal(o.Seen)
}

func (m memory) encode() ([]byte, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return append(fmt.Appendf(nil, memoryLine, sha256.Sum256(body)), body...), nil
}

func decodeMemory(data []byte) (m memory, err error) {
	head := len(fmt.Sprintf(memoryLine, [sha256.Size]byte{}))
	if len(data) < head {
		return memory{}, errors.New("too short")
	}
	body := data[head:]
	if string(data[:head]) != fmt.Sprintf(memoryLine, sha256.Sum256(body)) {
		return memory{}, errors.New("checksum does not fit")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return memory{}, err
	}
	if _, err := d.Token(); err != io.EOF {
		return memory{}, errors.New("more behind its end")
	}
	return m, nil
}

// loadMemory reads what store wrote; a folder without any is a new register's.
func loadMemory(dir string) (memory, error) {
	f, err := os.Open(filepath.Join(dir, memoryFile))
	if errors.Is(err, fs.ErrNotExist) {
		return memory{}, nil
	}
	if err != nil {
		return memory{}, fmt.Errorf("reading release metadata: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxMemory+1))
	if err == nil && len(data) > maxMemory {
		err = ErrTooLarge
	}
	var m memory
	if err == nil {
		m, err = decodeMemory(data)
	}
	if err != nil {
		return memory{}, fmt.Errorf("reading release metadata: %w", err)
	}
	return m, nil
}

// store replaces the file: new name, flush, rename, flush of the folder.
func (m memory) store(dir string) error {
	data, err := m.encode()
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, memoryFile), bytes.NewReader(data), 0o600)
}

// replaceFile writes a file whole or not at all, also when the power goes.
func replaceFile(path string, content io.Reader, mode fs.FileMode) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
