// Package verify reads a journal from its first byte to its last and says what is wrong with it, where, and since
// when. It only reads, needs no key but the public ones in the log, and takes the same memory for any length.
//
// It shares the formats and the rules (entry, segment, tree, checkpoint, chain) with the journal and nothing else.
// It is not a viewer and repairs nothing. What a log alone cannot show, that its end was cut off, it compares with a
// head that was kept elsewhere. The rule that keeps it small: findings are values; only Say turns them into words.
package verify

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/choba-os/choba/services/journal/chain"
	"github.com/choba-os/choba/services/journal/checkpoint"
	"github.com/choba-os/choba/services/journal/segment"
)

// Code says what a finding is about.
type Code string

// Damage.
const (
	NoLog      Code = "no-log"     // the folder holds no segment
	BadFile    Code = "file"       // a file that does not belong there
	Gap        Code = "gap"        // segments are missing
	BadHead    Code = "head"       // a segment's head cannot be read, or is not the file's
	BadRecord  Code = "record"     // bytes that are no record
	BadEntry   Code = "entry"      // a record that is no entry
	Unfinished Code = "unfinished" // the log does not end with a checkpoint and zeros
	BadTail    Code = "tail"       // bytes behind the end of a segment that is not the last
	Signature  Code = "signature"  // a checkpoint was not signed by the session's key
	Stranger   Code = "stranger"   // the device key is not the one it must be
	BadHashes  Code = "hashes"     // the list of hashes does not fit
	MoreHashes Code = "more"       // the list of hashes knows entries that are not there
	Shorter    Code = "shorter"    // the log ends before the head that it is compared with
	Fork       Code = "fork"       // the log is not the one of which the head is
	// and every chain.Fault
)

// Remarks: worth knowing, and no damage.
const (
	ClockBack Code = "clock-back" // the wall clock was set back
	Recovered Code = "recovered"  // an unfinished write was cut at a start
	FewHashes Code = "few-hashes" // the list of hashes is not complete; it can be made anew
)

// Finding is one thing to say.
type Finding struct {
	Code   Code
	File   string    // name in the folder
	Offset int64     // in the file; -1 when it is about no place
	Entry  int64     // number of the entry; -1 when it is about none
	Since  time.Time // of the last good entry before it; zero when there is none
	Detail string    // for engineers, in English
}

// Report is the whole answer.
type Report struct {
	Origin      string
	Device      string // note verifier key
	Head        string // the last good checkpoint
	Segments    int
	Entries     uint64 // that were found good
	Checkpoints uint64
	Sessions    uint64 // begun in what was found good
	Bytes       int64
	First, Last time.Time // of the good entries
	Damage      []Finding // in the order of the log
	Remarks     []Finding
	More        int // findings beyond those that are kept
}

// Good says whether nothing is wrong.
func (r *Report) Good() bool { return len(r.Damage) == 0 }

// maxFindings bounds what is kept of each sort.
const maxFindings = 100

// Options are what the log is compared with.
type Options struct {
	Device string           // note verifier key that the device key must be; empty: the log's own word is taken
	Head   *checkpoint.Tree // a head of this log that was kept elsewhere
}

// Folder verifies the log in a folder: an export, or a journal's own log folder while the journal is not running. An
// error means that it could not be read; damage is in the report.
func Folder(path string, opt Options) (*Report, error) {
	if st, err := os.Stat(filepath.Join(path, "log")); err == nil && st.IsDir() {
		path = filepath.Join(path, "log")
	}
	files, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	r := &reader{path: path, opt: opt, report: &Report{}, checks: newChecks()}
	defer r.checks.close()
	segments := r.sortOut(files)
	if err := r.openHashes(); err != nil {
		return nil, err
	}
	defer r.hashes.close()
	for i, first := range segments {
		if err := r.segment(first, i == len(segments)-1); err != nil {
			return nil, fmt.Errorf("reading segment %s: %w", segment.FileName(first), err)
		}
	}
	if err := r.end(segments); err != nil {
		return nil, err
	}
	return r.report, nil
}

// reader is one verification under way.
type reader struct {
	path    string
	opt     Options
	report  *Report
	chain   *chain.Chain // nil while it is lost
	hashes  *hashList
	checks  *checks
	device  string // the key that all segments must have
	file    string // name of the segment
	counted uint64 // entries up to here are in the report
	seen    bool   // the head to compare with was found
}

func (r *reader) sortOut(files []fs.DirEntry) []uint64 {
	var segments []uint64
	for _, f := range files {
		first, ok := segment.ParseFileName(f.Name())
		switch {
		case ok && f.Type().IsRegular():
			segments = append(segments, first)
		case f.Name() == hashesName && f.Type().IsRegular():
		default:
			r.found(Finding{Code: BadFile, File: f.Name(), Offset: -1, Entry: -1})
		}
	}
	slices.Sort(segments)
	switch {
	case len(segments) == 0:
		r.found(Finding{Code: NoLog, Offset: -1, Entry: -1})
	case segments[0] != 0:
		r.found(Finding{Code: Gap, File: segment.FileName(segments[0]), Offset: -1, Entry: 0,
			Detail: fmt.Sprintf("the oldest segment begins with entry %d", segments[0])})
	}
	return segments
}

// found keeps a finding of damage.
func (r *reader) found(f Finding) {
	if f.Since.IsZero() {
		f.Since = r.report.Last
	}
	keep(&r.report.Damage, f, &r.report.More)
}

func (r *reader) remark(f Finding) { keep(&r.report.Remarks, f, &r.report.More) }

func keep(list *[]Finding, f Finding, more *int) {
	if len(*list) >= maxFindings {
		*more++
		return
	}
	*list = append(*list, f)
}

// lose says what is wrong at a place, and that nothing can be concluded until a segment's head gives a new hold.
func (r *reader) lose(code Code, at int64, cause error) {
	f := Finding{Code: code, File: r.file, Offset: at, Entry: -1, Detail: cause.Error()}
	if r.chain != nil {
		f.Entry = int64(r.chain.Edge.Size)
	}
	var b *chain.Broken
	if errors.As(cause, &b) {
		f.Code = Code(b.Fault)
	}
	r.found(f)
	r.chain = nil
}

// end judges the log as a whole.
func (r *reader) end(segments []uint64) error {
	bad := r.checks.wait()
	for _, f := range bad {
		r.found(f)
	}
	slices.SortStableFunc(r.report.Damage, func(a, b Finding) int {
		if a.File != b.File && a.Code != BadFile && b.Code != BadFile {
			if a.File < b.File {
				return -1
			}
			return 1
		}
		return int(max(-1, min(1, a.Offset-b.Offset)))
	})
	if h := r.opt.Head; h != nil && !r.seen && r.chain != nil {
		code := Fork
		if r.chain.Covered < h.Size && r.chain.Origin == h.Origin {
			code = Shorter
		}
		r.found(Finding{Code: code, File: r.file, Offset: -1, Entry: int64(r.chain.Covered),
			Detail: fmt.Sprintf("the log %s has %d entries, the head is of %s with %d", r.chain.Origin, r.chain.Covered, h.Origin, h.Size)})
	}
	if len(segments) > 0 && r.report.Origin == "" && r.report.Good() { // segments of zeros only
		r.found(Finding{Code: NoLog, Offset: -1, Entry: -1})
	}
	if r.chain == nil {
		return nil
	}
	return r.hashes.end(r)
}
