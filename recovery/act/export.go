package act

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/choba-os/choba/drivers/disk"
	"github.com/choba-os/choba/image/history"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/keys/escrow"
	"github.com/choba-os/choba/recovery/explain"
	"github.com/choba-os/choba/recovery/redeploy"
)

// partSize is the largest file of an export: FAT32 takes 4 GiB less one byte, some
// tools only 2 GiB.
const partSize = 2<<30 - layout.MiB

// gap is how many zeros end a file of an export: long enough that there are few files.
const gap = 64 * layout.MiB

// ErrRoom means that the stick has too little room.
var ErrRoom = errors.New("too little room on the stick")

// extent is one file of an export: bytes of a partition, without the zeros at its end.
type extent struct {
	name string
	from redeploy.Part
	at   int64
	n    int64 // bytes in the file
	span int64 // bytes of the partition that it stands for: zeros follow
	sum  [32]byte
}

// export copies, as it lies on the disk, what a vendor needs to save the sales of a
// register that no longer starts: the state partition (sealed keys, escrow, records)
// and the encrypted data partition. Letter leaves the data out.
func (a *Actor) export(ctx context.Context, r Request) Report {
	title := Say("書き出せませんでした", "The export failed")
	if a.m.Sticks == nil {
		return failed(title, ErrNoStick)
	}
	stick, err := a.m.Sticks.Open(ctx, true)
	if err != nil {
		return a.refused(title, err)
	}
	defer stick.Close()
	base, err := a.freeName(stick)
	if err != nil {
		return a.refused(title, err)
	}
	letter, _, err := escrow.Load(a.m.Register.State)
	if err != nil {
		if r.Letter {
			return a.keyRefused(title, err) // there is nothing to ask the vendor with
		}
		a.m.Say("note: no letter to the vendor: " + err.Error())
	}
	files, err := a.plan(ctx, base, r.Letter)
	if err == nil {
		err = a.copyOut(ctx, stick, base, files, letter.Vendor())
	}
	if err != nil {
		return a.refused(title, err)
	}
	var total int64
	for _, f := range files {
		total += f.n
	}
	return Report{OK: true, Title: Say("書き出しました", "The export is done"), Lines: []Line{
		{Words: Say(fmt.Sprintf("USBメモリーに %d 個のファイルを書き出しました。", len(files)+2), fmt.Sprintf("%d files were written to the stick.", len(files)+2)),
			Detail: fmt.Sprintf("%s.txt, %d MiB, %s", base, total/layout.MiB, stick.Name())},
		{Level: Known, Words: Say("データは暗号化されたままです。販売店に渡してください。", "The data is still encrypted. Hand the stick to the vendor.")},
	}}
}

func (a *Actor) refused(title Words, err error) Report {
	return Report{Title: title, Lines: []Line{{Level: Bad, Words: full(a.why(err)), Detail: err.Error()}}}
}

// full ends a sentence in both tongues.
func full(w Words) Words {
	if w.English != "" {
		w.English = strings.ToUpper(w.English[:1]) + w.English[1:] + "."
	}
	return Say(w.Japanese+"。", w.English)
}

func (a *Actor) why(err error) Words {
	switch {
	case errors.Is(err, ErrNoStick):
		return Say("USBメモリーが差さっていません", "no USB stick is plugged in")
	case errors.Is(err, ErrRoom):
		return Say("USBメモリーの空き容量が足りません", "the stick has too little room")
	case errors.Is(err, context.Canceled):
		return Say("中止しました", "it was stopped")
	}
	return explain.About(err)
}

// freeName is the beginning of the export's file names: nothing of before is replaced.
func (a *Actor) freeName(s Stick) (string, error) {
	id, _, _ := strings.Cut(a.m.ID, "-")
	for n := range 100 {
		base := fmt.Sprintf("choba-%s-%02d", strings.ToLower(id), n)
		_, err := s.Open(base + ".txt")
		if errors.Is(err, fs.ErrNotExist) {
			return base, nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", errors.New("there are 100 exports on the stick already")
}

// plan looks at what there is to copy. Long runs of zeros are left out: most of a data
// partition was never written.
func (a *Actor) plan(ctx context.Context, base string, letter bool) ([]extent, error) {
	state := redeploy.Part{Device: a.m.Register.State, Size: a.stateSize()}
	total := state.Size
	if !letter {
		if a.m.Data.Device == nil {
			return nil, disk.ErrAbsent // who is told that the sales are saved may erase them next
		}
		total += a.m.Data.Size
	}
	seen := int64(0)
	step := func(n int64) error {
		seen += n
		a.tell(Say("データの量を調べています", "Measuring the data"), seen, total)
		return ctx.Err()
	}
	n, _, err := measure(state, 0, state.Size, step)
	files := []extent{{name: base + ".state", from: state, n: n, span: state.Size}}
	for at := int64(0); err == nil && seen < total; {
		f := extent{name: fmt.Sprintf("%s.%03d", base, len(files)-1), from: a.m.Data, at: at}
		f.n, f.span, err = measure(f.from, at, min(partSize, a.m.Data.Size-at), step)
		at += f.span
		files = append(files, f)
	}
	return files, err
}

// stateSize is all of the state partition that means something.
func (a *Actor) stateSize() int64 { return layout.HistoryStart + layout.HistorySize }

// measure finds where the piece that begins at at ends, at most most bytes behind it:
// before the next byte that follows a gap of zeros. n is how much of it comes before the
// zeros at its end, in whole sectors.
func measure(r io.ReaderAt, at, most int64, step func(int64) error) (n, span int64, err error) {
	buf := make([]byte, layout.MiB)
	for span < most {
		b := buf[:min(int64(len(buf)), most-span)]
		if n, err := r.ReadAt(b, at+span); n < len(b) {
			return 0, 0, fmt.Errorf("reading at %d: %w", at+span, err)
		}
		if k := len(bytes.TrimRight(b, "\x00")); k > 0 {
			if span-n >= gap {
				return n, span, nil
			}
			n = min((span+int64(k)+layout.Sector-1)/layout.Sector*layout.Sector, most)
		}
		span += int64(len(b))
		if err := step(int64(len(b))); err != nil {
			return 0, 0, err
		}
	}
	return n, span, nil
}

func (a *Actor) tell(what Words, done, total int64) {
	if a.report != nil {
		text := amount(done, total)
		a.report(Progress{What: what, How: Say(text, text), Done: done, Total: total})
	}
}

// copyOut writes the files, the list of them last: an export without a list is none.
// letter is the age file by which the vendor knows the recovery code, if there is one.
func (a *Actor) copyOut(ctx context.Context, s Stick, base string, files []extent, letter []byte) error {
	var total int64
	for _, f := range files {
		total += f.n
	}
	free, err := s.Free()
	if err != nil {
		return err
	}
	if need := total + 256*layout.KiB; free < need {
		return fmt.Errorf("%w: %d MiB free, %d needed", ErrRoom, free/layout.MiB, need/layout.MiB)
	}
	done := int64(0)
	for i := range files {
		f := &files[i]
		if f.n == 0 {
			continue // nothing but zeros: the list says so
		}
		h := sha256.New()
		r := io.TeeReader(io.NewSectionReader(f.from, f.at, f.n), h)
		counted := &counter{ctx: ctx, r: r, step: func(n int) {
			done += int64(n)
			a.tell(Say("USBメモリーに書き出しています", "Writing to the stick"), done, total)
		}}
		if err := s.Create(f.name, counted, f.n); err != nil {
			return err
		}
		h.Sum(f.sum[:0])
	}
	if len(letter) > 0 {
		if err := s.Create(base+".age", bytes.NewReader(letter), int64(len(letter))); err != nil {
			return err
		}
	}
	list := a.list(files)
	return s.Create(base+".txt", bytes.NewReader(list), int64(len(list)))
}

// list says what the files are, and holds the records of recovery in plain text.
func (a *Actor) list(files []extent) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "choba export 1\nregister %s\ntime %s\n", a.m.ID, a.m.Now().UTC().Format("2006-01-02T15:04:05Z"))
	for _, f := range files {
		part := "data"
		if strings.HasSuffix(f.name, ".state") {
			part = "state"
		}
		sum := "-"
		if f.n > 0 {
			sum = hex.EncodeToString(f.sum[:])
		}
		fmt.Fprintf(&b, "file %s of %s at %d bytes %d zeros %d sha256 %s\n", f.name, part, f.at, f.n, f.span-f.n, sum)
	}
	all, err := history.Load(a.m.Register.State)
	if err != nil {
		fmt.Fprintf(&b, "problem %v\n", err)
	}
	for _, e := range all {
		fmt.Fprintf(&b, "record %d %s %s %s\n", e.Seq, e.Wall.Format("2006-01-02T15:04:05Z"), e.Kind, e.Text)
	}
	return b.Bytes()
}

// counter reports what is read and ends with ctx.
type counter struct {
	ctx  context.Context
	r    io.Reader
	step func(int)
}

func (c *counter) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(b)
	c.step(n)
	return n, err
}
