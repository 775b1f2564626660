package store

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/choba-os/choba/services/journal/chain"
	"github.com/choba-os/choba/services/journal/checkpoint"
	"github.com/choba-os/choba/services/journal/entry"
	"github.com/choba-os/choba/services/journal/segment"
	"github.com/choba-os/choba/services/journal/tree"
)

// Open starts the log that lies on the disk, or a new one, and begins a session. Errors that wrap *segment.Damage or
// name a segment mean that what was once acknowledged is broken: the store does not open and changes nothing.
func Open(opt Options) (*Store, error) {
	if opt.SegmentBytes == 0 {
		opt.SegmentBytes = SegmentBytes
	}
	if opt.SegmentBytes < segment.MinBytes || opt.SegmentBytes > segment.MaxBytes {
		return nil, fmt.Errorf("opening the journal: segments of %d bytes", opt.SegmentBytes)
	}
	s := &Store{opt: opt, queue: make(chan *request, maxBatch), ended: make(chan struct{})}
	if err := s.open(); err != nil {
		s.shut()
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	return s, nil
}

func (s *Store) open() error {
	if err := s.opt.Disk.MakeDir(logDir); err != nil {
		return err
	}
	if err := s.findSegments(); err != nil {
		return err
	}
	if err := s.openDevice(); err != nil {
		return err
	}
	if err := s.openHashes(); err != nil {
		return err
	}
	cut, err := s.recover()
	if err != nil {
		return err
	}
	own := []entry.Event{}
	if s.chain.Edge.Size == 0 {
		first, err := s.begin()
		if err != nil {
			return err
		}
		own = append(own, first)
	}
	s.spare = newSpare(s.opt.Disk, s.opt.SegmentBytes, s.reserve)
	return s.startSession(own, cut)
}

func (s *Store) shut() {
	if s.spare != nil {
		s.spare.close()
	}
	for _, f := range []File{s.file, s.hashes} {
		if f != nil {
			f.Close()
		}
	}
}

func (s *Store) findSegments() error {
	names, err := s.opt.Disk.List(logDir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if first, ok := segment.ParseFileName(name); ok {
			s.segments = append(s.segments, place{first: first})
		}
	}
	slices.SortFunc(s.segments, func(a, b place) int { return cmp.Compare(a.first, b.first) })
	if len(s.segments) > 0 && s.segments[0].first != 0 {
		return fmt.Errorf("the oldest segment begins with entry %d: those before it are missing", s.segments[0].first)
	}
	return nil
}

// openDevice reads the device key, or makes one when there is no log yet.
//
// Known hole: the key lies in a file, behind the disk's encryption only. The TPM is to keep it; the formats need no
// change for that.
func (s *Store) openDevice() error {
	text, err := s.readSmall(keyName)
	if err == nil {
		if s.device, err = checkpoint.ParseSigner(string(text)); err != nil {
			return fmt.Errorf("the device key: %w", err)
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(s.segments) > 0 {
		return errors.New("there is a log, and the device key is missing")
	}
	seed := make([]byte, checkpoint.SeedSize)
	if _, err := io.ReadFull(s.opt.Random, seed); err != nil {
		return fmt.Errorf("making the device key: %w", err)
	}
	register, err := checkpoint.RegisterID(seed)
	if err != nil {
		return err
	}
	if s.device, err = checkpoint.NewSigner(checkpoint.DeviceName(register), seed); err != nil {
		return err
	}
	return s.writeSmall(keyName, []byte(s.device.Secret()))
}

func (s *Store) openHashes() error {
	f, err := s.opt.Disk.Open(hashesName)
	if errors.Is(err, fs.ErrNotExist) {
		if f, err = s.opt.Disk.Create(hashesName); err == nil {
			err = s.opt.Disk.SyncDir(logDir)
		}
	}
	if err != nil {
		return fmt.Errorf("the list of hashes: %w", err)
	}
	s.hashes = f
	return nil
}

// reserve sets room aside for the hashes of the segment in use and the next: an entry adds at most two hashes on
// average, and its record is never shorter than the shortest.
func (s *Store) reserve() error {
	const shortest = 128
	return s.hashes.Reserve((s.list.Len() + 4*s.opt.SegmentBytes/shortest) * 32)
}

// begin makes the first event of a new log: the device key's certificate.
func (s *Store) begin() (entry.Event, error) {
	size, err := s.hashes.Size()
	if err != nil {
		return entry.Event{}, err
	}
	if err := s.noMore(0, size, replayed{}); err != nil {
		return entry.Event{}, err
	}
	var log [4]byte
	if _, err := io.ReadFull(s.opt.Random, log[:]); err != nil {
		return entry.Event{}, fmt.Errorf("naming the log: %w", err)
	}
	origin := checkpoint.Origin(checkpoint.Register(s.device.Name()), log)
	signed, err := checkpoint.SignDevice(checkpoint.Device{Origin: origin, Key: s.device.Public}, s.device)
	if err != nil {
		return entry.Event{}, err
	}
	c, err := chain.Start(segment.Head{Origin: origin, Bytes: s.opt.SegmentBytes, Device: s.device.Public})
	if err != nil {
		return entry.Event{}, err
	}
	s.chain, s.list = *c, tree.NewList(s.hashes, 0)
	return ownEvent(chain.KindDevice, chain.Certificate{Certificate: string(signed)})
}

// startSession makes a key, has the device key vouch for it, and records that as the first commit under it.
func (s *Store) startSession(own []entry.Event, cut *chain.Recovered) error {
	seed := make([]byte, checkpoint.SeedSize)
	if _, err := io.ReadFull(s.opt.Random, seed); err != nil {
		return fmt.Errorf("making the session's key: %w", err)
	}
	var err error
	if s.key, err = checkpoint.NewSigner(s.chain.Origin, seed); err != nil {
		return err
	}
	signed, err := checkpoint.SignSession(checkpoint.Session{Origin: s.chain.Origin, Number: s.chain.Session.Number + 1,
		Boot: s.opt.Clock.Boot, Size: s.chain.Covered, Root: s.chain.Root, Key: s.key.Public}, s.device)
	if err != nil {
		return err
	}
	v, err := ownEvent(chain.KindSession, chain.Certificate{Certificate: string(signed)})
	if err != nil {
		return err
	}
	own = append(own, v)
	if cut != nil {
		if v, err = ownEvent(chain.KindRecovered, cut); err != nil {
			return err
		}
		own = append(own, v)
	}
	batch := make([]*request, len(own))
	for i, v := range own {
		batch[i] = &request{service: chain.Service, event: v, done: make(chan result, 1)}
	}
	if err := s.commit(batch, true); err != nil {
		return fmt.Errorf("beginning a session: %w", err)
	}
	for _, r := range batch {
		if got := <-r.done; got.err != nil {
			return fmt.Errorf("beginning a session: %w", got.err)
		}
	}
	return s.forgetCut(cut)
}
