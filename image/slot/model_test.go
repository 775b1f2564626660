package slot

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The exhaustive check: every state that a register can get into, by any order of the
// events below, with the real functions of this package. Three releases (1 is what was
// flashed, the others are newer), two slots, and at most two damages (rot in a slot, a
// slot that cannot be entered, one or both copies of the record lost) on each path.
// Every store is an event of its own, with a power cut before it and during it.
const releases = 3

// content is which release a slot really holds: 0 = none that verifies.
type content [2]uint8

// record is a Record without its reason, as a map's key. Release n has version n and
// manifest hash(n).
type record struct {
	slots               [2]slotKey
	preferred, departed uint8 // 0 = none, 1 = a, 2 = b
	failed              [releases]uint8
}

type slotKey struct {
	state          uint8
	release        uint8
	tries, unready uint8
}

var states = []State{Empty, Trial, Good, Refused, Unknown}

func index(n Name) uint8 {
	for i, x := range []Name{"", A, B} {
		if x == n {
			return uint8(i)
		}
	}
	panic("no such slot")
}

func name(i uint8) Name { return []Name{"", A, B}[i] }

func keyOf(r Record) (k record) {
	for i, n := range Names() {
		s := r.Slot(n)
		for j, st := range states {
			if st == s.State || s.State == "" && st == Empty {
				k.slots[i] = slotKey{uint8(j), uint8(s.Version), uint8(s.Tries), uint8(s.Unready)}
			}
		}
	}
	k.preferred, k.departed = index(r.Preferred), index(r.Departed)
	for i, f := range r.Failed {
		k.failed[i] = uint8(f.Version)
	}
	return k
}

func (k record) record() Record {
	slotOf := func(s slotKey) Slot {
		out := Slot{State: states[s.state], Version: uint64(s.release), Tries: int(s.tries), Unready: int(s.unready)}
		if s.release > 0 {
			out.Manifest = hash(s.release)
		}
		return out
	}
	r := Record{A: slotOf(k.slots[0]), B: slotOf(k.slots[1]), Preferred: name(k.preferred), Departed: name(k.departed)}
	for _, f := range k.failed {
		if f > 0 {
			r.Failed = append(r.Failed, Failure{uint64(f), hash(f)})
		}
	}
	return r
}

// phase is what the machine is doing.
type phase uint8

const (
	off     phase = iota
	settled       // recovery has written down how the last departure ended
	running       // a slot runs and is not ready
	ready         // it is, or was in this boot
	cleared       // the other slot is being written
	written       // it was written and read back
	stopped       // recovery stopped
	phases
)

// world is one state of the whole. Where two fields of it could differ without any
// difference in what can follow, they do not.
type world struct {
	rec, older record // the copies; older is what counts when the newer one is damaged
	noOlder    bool   // there is no readable older copy
	content    content
	phase      phase
	runs       uint8 // the slot that runs, 1 or 2
	offered    uint8 // the release that is being written
	fired      bool  // the watchdog says that it caused this start
	skip       [2]bool
	damages    uint8
	forgot     uint8 // how many of them took the record back

	// Ghosts: what the register should remember, kept apart from its record.
	refused [releases + 1]bool // by release: refused, and not offered anew since
	bad     [2]uint8           // by slot: the release that was refused in it
	booted  [2]uint8           // by slot: boots of the release on trial
}

type model struct {
	t       *testing.T
	seen    map[world]bool
	queue   []world
	edges   int
	records map[record]bool
	choices map[choiceKey][]Candidate
	damages uint8 // at most on one path
	most    int   // boots from anywhere until recovery stops
	saved   int   // states in which losing the record was survived
}

type choiceKey struct {
	rec     record
	content content
}

func (m *model) choose(rec record, c content) []Candidate {
	k := choiceKey{rec, c}
	if got, ok := m.choices[k]; ok {
		return got
	}
	found := map[Name]Release{}
	for i, n := range Names() {
		if found[n] = rel(uint64(c[i]), c[i]); c[i] == 0 {
			found[n] = Release{Problem: errBad}
		}
	}
	got := Choose(rec.record(), found)
	m.choices[k] = got
	return got
}

// safe says whether a committed release that verifies would boot.
func (m *model) safe(w world) bool {
	for _, c := range m.choose(w.rec, w.content) {
		if c.Usable && w.rec.slots[index(c.Slot)-1].state == 2 {
			return true
		}
	}
	return false
}

func (m *model) to(w world) {
	m.edges++
	if w.noOlder {
		w.older = record{}
	}
	if w.phase == off || w.phase == settled || w.phase == stopped {
		w.runs, w.offered = 0, 0
	}
	if w.phase != settled {
		w.skip = [2]bool{}
	}
	if w.phase != off {
		w.fired = false
	}
	if !m.seen[w] {
		m.seen[w] = true
		m.queue = append(m.queue, w)
	}
}

// store writes a record and goes on in a phase. The power may go before it (the caller's
// cut), or during it: then the older copy is torn.
func (m *model) store(w world, next Record, err error, then func(*world)) {
	require.NoError(m.t, err, "%+v", w)
	torn := w
	torn.noOlder = true
	m.cut(torn)
	k := keyOf(next)
	if !m.records[k] {
		_, err := next.Encode()
		require.NoError(m.t, err)
		m.records[k] = true
	}
	w.older, w.noOlder, w.rec = w.rec, false, k
	then(&w)
	m.to(w)
}

func (m *model) cut(w world) {
	w.phase, w.fired = off, false
	m.to(w)
}

func (m *model) hang(w world) {
	w.phase, w.fired = off, true
	m.to(w)
}

// refuse keeps the ghosts when a slot's release is refused between two records.
func (w *world) refuse(before record) {
	for i := range 2 {
		if states[w.rec.slots[i].state] == Refused && states[before.slots[i].state] != Refused {
			w.refused[w.rec.slots[i].release], w.bad[i], w.booted[i] = true, w.rec.slots[i].release, 0
		}
	}
}

func (m *model) step(w world) {
	if w.phase != off {
		m.cut(w)
	}
	switch w.phase {
	case off:
		m.boot(w)
	case settled:
		m.leave(w)
	case running:
		m.run(w)
	case ready:
		require.True(m.t, w.rec.departed == 0 || w.forgot > 0, "what hangs after it was ready would be refused: %+v", w)
		m.hang(w)
		m.update(w)
	case cleared:
		w.content[2-w.runs] = 0 // being written: the head is wiped first
		m.cut(w)
		w.phase, w.content[2-w.runs] = written, w.offered
		m.to(w)
	case written:
		for _, anew := range []bool{false, true} {
			m.offer(w, anew)
		}
	case stopped:
		if next, changed := Forgive(w.rec.record()); changed {
			m.store(w, next, nil, func(w *world) { w.phase = off })
		}
	}
	if w.damages < m.damages {
		m.damage(w)
	}
}

func (m *model) boot(w world) {
	evidence := None
	if w.fired {
		evidence = Watchdog
	}
	next, changed := Return(w.rec.record(), evidence, "")
	if !changed {
		w.phase = settled
		m.to(w)
		return
	}
	before := w.rec
	m.store(w, next, nil, func(w *world) {
		w.phase = settled
		w.refuse(before)
	})
}

// leave departs for the best slot, or finds out that it cannot be entered.
func (m *model) leave(w world) {
	for _, c := range m.choose(w.rec, w.content) {
		i := index(c.Slot) - 1
		if !c.Usable || w.skip[i] {
			continue
		}
		m.mayBoot(w, i)
		next, err := Depart(w.rec.record(), c)
		m.store(w, next, err, func(w *world) {
			w.phase, w.runs = running, i+1
			if c.Trial {
				w.booted[i]++
			}
		})
		if w.damages >= m.damages {
			return // entering failed below is one damage more than this path may have
		}
		failed := w
		failed.skip[i] = true
		failed.damages++
		if next, err := Refuse(w.rec.record(), c.Slot, ""); c.Trial {
			m.store(failed, next, err, func(x *world) { x.refuse(w.rec) })
			return
		}
		m.to(failed)
		return
	}
	if w.skip == [2]bool{} {
		require.False(m.t, m.safe(w), "recovery stopped although a committed release would boot: %+v", w)
	}
	w.phase = stopped
	m.to(w)
}

// mayBoot holds a departure against the ghosts.
func (m *model) mayBoot(w world, i uint8) {
	release := w.content[i]
	require.NotZero(m.t, release, "a slot is booted that does not verify: %+v", w)
	if w.forgot == 0 {
		require.NotEqual(m.t, release, w.bad[i], "a refused release is booted: %+v", w)
	}
	if s := w.rec.slots[i]; states[s.state] != Unknown {
		require.Equal(m.t, s.release, release, "another release is booted than was recorded: %+v", w)
	}
	require.Less(m.t, w.booted[i], uint8(Tries)+w.forgot, "more trials than there are: %+v", w)
}

func (m *model) run(w world) {
	n := name(w.runs)
	m.hang(w)
	before, rec := w.rec, w.rec.record()
	next, err := MarkReady(rec, n, uint64(w.content[w.runs-1]), hash(w.content[w.runs-1]))
	switch {
	case w.content[w.runs-1] == 0 || err != nil:
		require.NotZero(m.t, w.damages, "%v: %+v", err, w)
	default:
		m.store(w, next, err, func(w *world) {
			w.phase, w.booted[w.runs-1] = ready, 0
		})
	}
	if rec.Slot(n).State == Trial {
		next, err = Refuse(rec, n, "not healthy")
		m.store(w, next, err, func(w *world) {
			w.phase = off
			w.refuse(before)
		})
	}
	if next, changed := End(rec, n); changed {
		m.store(w, next, nil, func(w *world) { w.phase, w.fired = off, true }) // even when the watchdog fires now
	}
}

// update begins to write a release into the other slot: only what runs and is ready does.
func (m *model) update(w world) {
	other := name(w.runs).Other()
	if w.content[w.runs-1] == 0 {
		return // rotten while it ran
	}
	next, err := Clear(w.rec.record(), other)
	if err != nil { // the record was taken back behind the program: it does not say that this slot is ready
		require.NotZero(m.t, w.damages, "%v: %+v", err, w)
		return
	}
	for release := uint8(1); release <= releases; release++ {
		if release == w.content[w.runs-1] {
			continue
		}
		was := m.safe(w)
		m.store(w, next, err, func(w *world) {
			w.phase, w.offered = cleared, release
			w.bad[index(other)-1], w.booted[index(other)-1] = 0, 0
			require.True(m.t, !was || m.safe(*w), "an update took the last committed release: %+v", *w)
		})
	}
}

func (m *model) offer(w world, anew bool) {
	i := 2 - w.runs
	next, err := Offer(w.rec.record(), name(i+1), uint64(w.offered), hash(w.offered), anew)
	if err != nil && !anew {
		require.ErrorIs(m.t, err, ErrFailedBefore)
		require.True(m.t, w.refused[w.offered] || w.forgot > 0, "refused for nothing: %+v", w)
		return
	}
	require.False(m.t, !anew && w.refused[w.offered] && w.forgot == 0, "a refused release is taken again: %+v", w)
	was := m.safe(w)
	m.store(w, next, err, func(w *world) {
		w.phase, w.refused[w.offered], w.bad[i], w.booted[i] = ready, false, 0, 0
		require.True(m.t, !was || m.safe(*w), "an offer took the last committed release: %+v", *w)
	})
}

// damage is one thing that breaks: a slot's content, the newer copy of the record, both.
func (m *model) damage(w world) {
	w.damages++
	for i := range 2 {
		rot := w
		rot.content[i] = 0
		m.to(rot)
	}
	if w.phase != off && w.phase != running && w.phase != ready {
		return // between two stores of one program, which has the record in memory
	}
	if !w.noOlder {
		older := w
		older.rec, older.noOlder = w.older, true
		older.forgot++
		m.to(older)
	}
	lost := w
	lost.rec, lost.noOlder = keyOf(Default()), true
	// What the record had against releases is forgotten with it, and only that.
	lost.refused, lost.bad, lost.booted = [releases + 1]bool{}, [2]uint8{}, [2]uint8{}
	if w.content != (content{}) {
		c := m.choose(lost.rec, lost.content)[0]
		require.True(m.t, c.Usable, "losing the record left nothing to boot: %+v", w)
		newest := max(w.content[0], w.content[1])
		require.Equal(m.t, newest, w.content[index(c.Slot)-1])
		m.saved++
	}
	m.to(lost)
}

// comesBack follows boots of which none gets ready, from a record and contents: a trial
// ends on the committed release in at most three boots of it, and everything ends in a
// stop of recovery.
func (m *model) comesBack(rec record, c content, e Evidence) {
	trials, boots := map[Name]int{}, 0
	hadGood := m.safe(world{rec: rec, content: c})
	for {
		r, _ := Return(rec.record(), e, "")
		best := m.choose(keyOf(r), c)[0]
		if !best.Usable {
			break
		}
		if boots++; best.Trial {
			trials[best.Slot]++
			require.LessOrEqual(m.t, trials[best.Slot], Tries, "%+v", rec)
		}
		if !best.Trial && len(trials) > 0 && hadGood {
			require.Equal(m.t, Good, r.Slot(best.Slot).State, "after a failed trial comes the committed one")
			hadGood = false
		}
		require.LessOrEqual(m.t, boots, Tries+2*UnreadyLimit, "boots without end: %+v", rec)
		next, err := Depart(r, best)
		require.NoError(m.t, err)
		rec = keyOf(next)
	}
	m.most = max(m.most, boots)
}

func TestModel(t *testing.T) {
	began := time.Now()
	m := &model{t: t, damages: 2, seen: map[world]bool{}, records: map[record]bool{}, choices: map[choiceKey][]Candidate{}}
	if testing.Short() {
		m.damages = 1
	}
	flashed := keyOf(Record{A: good(1, 1), B: good(1, 1), Preferred: A})
	m.to(world{rec: flashed, older: flashed, content: content{1, 1}})
	byPhase := [phases]int{}
	followed := map[choiceKey]bool{}
	for len(m.queue) > 0 {
		w := m.queue[len(m.queue)-1]
		m.queue = m.queue[:len(m.queue)-1]
		byPhase[w.phase]++
		m.step(w)
		if k := (choiceKey{w.rec, w.content}); w.phase == off && !followed[k] {
			followed[k] = true
			m.comesBack(w.rec, w.content, None)
			m.comesBack(w.rec, w.content, Watchdog)
		}
	}
	for p, n := range byPhase {
		require.NotZero(t, n, "phase %d was never reached", p)
	}
	require.NotZero(t, m.saved)
	t.Log(fmt.Sprintf("%d states, %d steps between them, %d records, %d records with contents followed to the end (at most %d boots), in %.1f s",
		len(m.seen), m.edges, len(m.records), len(followed), m.most, time.Since(began).Seconds()))
}
