package powercut

import (
	"io"
	"maps"
)

// Disk is what a power cut left: a disk as it was, with some sectors of the log on top. It is read like any device,
// and what the product's own code writes to it afterwards (a record that is settled) stays in it.
type Disk struct {
	under io.ReaderAt
	over  map[int64][]byte // sector → its 512 bytes: flushed
	since map[int64][]byte // the same, written since the flush; above over, unless lost
	lost  bool             // since does not count: the cut being tried has parts of it in extra
	extra map[int64][]byte // of the cut being tried, and what its judge wrote; above all

	versions map[part]int
}

// NewDisk is the disk before the first entry of a log.
func NewDisk(under io.ReaderAt) *Disk {
	return &Disk{under: under, over: map[int64][]byte{}, since: map[int64][]byte{}, versions: map[part]int{}}
}

// put lays data over the disk, but for the sectors that keep refuses; a nil keep takes all.
func put(over map[int64][]byte, op Op, keep func(int) bool) {
	for i := range len(op.Data) / Sector {
		if keep == nil || keep(i) {
			over[op.Sector+int64(i)] = op.Data[i*Sector : (i+1)*Sector]
		}
	}
}

// ReadAt is io.ReaderAt.
func (d *Disk) ReadAt(b []byte, at int64) (int, error) {
	n, err := d.under.ReadAt(b, at)
	if n < len(b) {
		return n, err
	}
	for s := at / Sector; s*Sector < at+int64(len(b)); s++ {
		data, ok := d.at(s)
		if !ok {
			continue
		}
		from := s*Sector - at
		if from >= 0 {
			copy(b[from:], data)
		} else {
			copy(b, data[-from:])
		}
	}
	return len(b), nil
}

// at is a sector that differs from the disk before the log.
func (d *Disk) at(s int64) ([]byte, bool) {
	data, ok := d.extra[s]
	if !ok && !d.lost {
		data, ok = d.since[s]
	}
	if !ok {
		data, ok = d.over[s]
	}
	return data, ok
}

// WriteAt changes the cut being tried, not the log's disk. It takes whole sectors.
func (d *Disk) WriteAt(b []byte, at int64) (int, error) {
	if at%Sector != 0 || len(b)%Sector != 0 {
		return 0, io.ErrShortWrite
	}
	if d.extra == nil {
		d.extra = map[int64][]byte{}
	}
	own := make([]byte, len(b)) // the caller may use b again
	copy(own, b)
	put(d.extra, Op{Sector: at / Sector, Data: own}, nil)
	return len(b), nil
}

// Sync has nothing to do.
func (d *Disk) Sync() error { return nil }

// Version counts the changes of a part of the disk along the log, and says whether the cut being tried changes it
// beyond that: what was found good at one version is good at the next cut of the same.
func (d *Disk) Version(start, size int64) (along int, beyond bool) {
	in := func(s int64) bool { return s*Sector < start+size && (s+1)*Sector > start }
	for s := range d.extra {
		beyond = beyond || in(s)
	}
	if d.lost {
		for s := range d.since {
			beyond = beyond || in(s)
		}
	}
	return d.versions[part{start, size}], beyond
}

// Watch makes Version count for a part.
func (d *Disk) Watch(start, size int64) { d.versions[part{start, size}] = 0 }

type part struct{ start, size int64 }

// took counts a request of the log.
func (d *Disk) took(op Op) {
	for p := range d.versions {
		if op.Sector*Sector < p.start+p.size && op.Sector*Sector+int64(len(op.Data)) > p.start {
			d.versions[p]++
		}
	}
}

// Sectors are all sectors that differ from the disk before the log, for writing a state down.
func (d *Disk) Sectors() map[int64][]byte {
	all := maps.Clone(d.over)
	if !d.lost {
		maps.Copy(all, d.since)
	}
	maps.Copy(all, d.extra)
	return all
}
