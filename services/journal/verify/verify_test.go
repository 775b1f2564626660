package verify_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/journal/chain"
	"github.com/choba-os/choba/services/journal/checkpoint"
	"github.com/choba-os/choba/services/journal/segment"
	"github.com/choba-os/choba/services/journal/verify"
)

func TestGoodLog(t *testing.T) {
	j := newJournal(t, 1)
	for range 3 {
		j.live(20)
	}
	for _, dir := range []string{j.dir, j.log()} {
		r := verified(t, dir, verify.Options{})
		require.Empty(t, r.Damage)
		require.Empty(t, r.Remarks)
		require.EqualValues(t, 1+3+60, r.Entries)
		require.EqualValues(t, 3+60, r.Checkpoints)
		require.EqualValues(t, 3, r.Sessions)
		require.Greater(t, r.Segments, 2)
		require.EqualValues(t, r.Segments*segment.MinBytes, r.Bytes)
		require.Contains(t, r.Write(verify.English), "Result: good")
		require.Contains(t, r.Write(verify.Japanese), "結果: 正しい記録です")
	}
}

// The log of a register of format 1, byte for byte: it must be read for ever, and be written the same as long as the
// format is 1.
func TestGoldenLog(t *testing.T) {
	j := newJournal(t, 7)
	j.live(3)
	j.live(1)
	made := files(t, j.log())
	kept := filepath.Join("testdata", "log-1")
	require.Equal(t, files(t, kept), trimmed(made), "written anew")
	full := files(t, kept)
	for name, text := range full {
		if name != "hashes" {
			full[name] = append(text, make([]byte, segment.MinBytes-len(text))...)
		}
	}
	r := verified(t, written(t, full), verify.Options{})
	require.True(t, r.Good(), r.Write(verify.English))
	for lang, name := range map[verify.Lang]string{verify.English: "report.en.txt", verify.Japanese: "report.ja.txt"} {
		want, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(t, err)
		require.Equal(t, string(want), r.Write(lang))
	}
}

// trimmed leaves away the zeros at the ends, so that the repository need not hold them.
func trimmed(m map[string][]byte) map[string][]byte {
	out := map[string][]byte{}
	for name, text := range m {
		out[name] = bytes.TrimRight(text, "\x00")
		if name == "hashes" {
			out[name] = text
		}
	}
	return out
}

// B04, B21, C18: whichever byte of a log is changed, in whichever file, it is found.
func TestEveryOneByteChangeIsFound(t *testing.T) {
	small := newJournal(t, 2)
	small.live(2)
	large := newJournal(t, 2)
	large.live(8)
	large.live(8)
	require.Len(t, segments(files(t, large.log())), 2)
	for _, c := range []struct {
		j    *journal
		step int // 1: every byte that is written
	}{{small, 1}, {large, 17}} {
		whole := files(t, c.j.log())
		dir := written(t, whole)
		for name, text := range whole {
			used := len(bytes.TrimRight(text, "\x00"))
			for at := range text {
				if at > used && at%61 == 0 || at <= used && at%c.step == 0 && (at%7 == 0 || !testing.Short()) {
					oneByte(t, dir, name, text, at)
				}
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
		}
		require.True(t, verified(t, dir, verify.Options{}).Good())
	}
}

func oneByte(t *testing.T, dir, name string, text []byte, at int) {
	bad := bytes.Clone(text)
	bad[at] ^= 1 << (at % 8)
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), bad, 0o600))
	r := verified(t, dir, verify.Options{})
	require.NotEmpty(t, r.Damage, "%s, byte %d", name, at)
	require.Equal(t, name, r.Damage[0].File, "byte %d", at)
}

// What somebody can do who knows the formats and has the disk, but no key: everything is rewritten with right
// checksums.
func TestTampering(t *testing.T) {
	j := newJournal(t, 3)
	j.live(12)
	first := files(t, j.log())
	head := j.live(24)
	whole := files(t, j.log())
	names := segments(whole)
	require.GreaterOrEqual(t, len(names), 3)
	alien := newJournal(t, 4)
	alien.live(36)
	foreign := files(t, alien.log())
	tree, err := checkpoint.Read([]byte(head))
	require.NoError(t, err)
	device := verified(t, j.log(), verify.Options{}).Device

	second, last := names[1], names[len(names)-1]
	edit := func(name string, f func([]segment.Record) []segment.Record) func(map[string][]byte) {
		return func(m map[string][]byte) { m[name] = rewrite(t, m[name], f) }
	}
	entries := func(r []segment.Record) (at []int) {
		for i := range r {
			if r[i].Kind == segment.KindEntry && bytes.Contains(r[i].Body, []byte("sale.line")) {
				at = append(at, i)
			}
		}
		return at
	}
	for name, c := range map[string]struct {
		change func(map[string][]byte)
		opt    verify.Options
		want   verify.Code
	}{
		"an amount is changed": {edit(second, func(r []segment.Record) []segment.Record {
			i := entries(r)[0]
			r[i].Body = bytes.Replace(r[i].Body, []byte("おにぎり"), []byte("おにぎ゛"), 1)
			return r
		}), verify.Options{}, verify.Code(chain.FaultCheckpoint)},
		"a person is changed": {edit(second, func(r []segment.Record) []segment.Record {
			i := entries(r)[0]
			r[i].Body = bytes.Replace(r[i].Body, []byte("0012"), []byte("0013"), 1)
			return r
		}), verify.Options{}, verify.Code(chain.FaultCheckpoint)},
		"an entry is deleted with its checkpoint": {edit(second, func(r []segment.Record) []segment.Record {
			i := entries(r)[0]
			return slices.Delete(r, i, i+2)
		}), verify.Options{}, verify.Code(chain.FaultNumber)},
		"an entry is deleted alone": {edit(second, func(r []segment.Record) []segment.Record {
			i := entries(r)[0]
			return slices.Delete(r, i, i+1)
		}), verify.Options{}, verify.Code(chain.FaultCheckpoint)},
		"two entries are exchanged": {edit(second, func(r []segment.Record) []segment.Record {
			at := entries(r)
			r[at[0]], r[at[1]] = r[at[1]], r[at[0]]
			return r
		}), verify.Options{}, verify.Code(chain.FaultNumber)},
		"an entry is replayed": {edit(second, func(r []segment.Record) []segment.Record {
			i := entries(r)[0]
			return slices.Insert(r[:len(r)-4], i+2, r[i], r[i+1])
		}), verify.Options{}, verify.Code(chain.FaultNumber)},
		"a forged entry is added": {edit(last, func(r []segment.Record) []segment.Record {
			i := entries(r)
			forged := r[i[len(i)-1]]
			forged.Body = next(t, forged.Body)
			return append(r, forged)
		}), verify.Options{}, verify.Unfinished},
		"an entry is back-dated": {edit(second, func(r []segment.Record) []segment.Record {
			i := entries(r)[0]
			r[i].Body = bytes.Replace(r[i].Body, []byte("2026-11-22"), []byte("2026-11-21"), 1)
			return r
		}), verify.Options{}, verify.Code(chain.FaultCheckpoint)},
		"the time since boot runs back": {edit(second, func(r []segment.Record) []segment.Record {
			i := entries(r)[1]
			r[i].Body = mono(r[i].Body)
			return r
		}), verify.Options{}, verify.Code(chain.FaultTime)},
		"a signature is forged": {edit(last, func(r []segment.Record) []segment.Record {
			i := len(r) - 1
			n := len(r[i].Body) - 20
			r[i].Body[n] = r[i].Body[n]&^3 | (r[i].Body[n]+1)&3
			return r
		}), verify.Options{}, verify.Signature},
		"an earlier signature is forged": {edit(second, func(r []segment.Record) []segment.Record {
			i := entries(r)[0] + 1
			n := len(r[i].Body) - 20
			r[i].Body[n] = r[i].Body[n]&^3 | (r[i].Body[n]+1)&3
			return r
		}), verify.Options{}, verify.Signature},
		"a service writes in the journal's name": {edit(second, func(r []segment.Record) []segment.Record {
			i := entries(r)[0]
			r[i].Body = bytes.Replace(r[i].Body, []byte(`"register"`), []byte(`"journal"`), 1)
			return r
		}), verify.Options{}, verify.Code(chain.FaultOwner)},
		"the head's edge is exchanged": {edit(second, func(r []segment.Record) []segment.Record {
			h, err := segment.ParseHead(r[0].Body)
			require.NoError(t, err)
			h.Edge[0][0] ^= 1
			r[0].Body, err = segment.EncodeHead(h)
			require.NoError(t, err)
			return r
		}), verify.Options{}, verify.Code(chain.FaultSegment)},
		"a segment is missing":                          {func(m map[string][]byte) { delete(m, second) }, verify.Options{}, verify.Gap},
		"the first segment is missing":                  {func(m map[string][]byte) { delete(m, names[0]) }, verify.Options{}, verify.Gap},
		"the last segment is missing":                   {func(m map[string][]byte) { delete(m, last) }, verify.Options{}, verify.MoreHashes},
		"a segment is renamed":                          {func(m map[string][]byte) { m[segment.FileName(3)] = m[second]; delete(m, second) }, verify.Options{}, verify.BadHead},
		"a segment is cut":                              {func(m map[string][]byte) { m[second] = m[second][:len(m[second])-1] }, verify.Options{}, verify.BadHead},
		"a segment is of another journal":               {func(m map[string][]byte) { m[second] = foreign[segments(foreign)[1]] }, verify.Options{}, ""},
		"a stray file":                                  {func(m map[string][]byte) { m["note.txt"] = []byte("x") }, verify.Options{}, verify.BadFile},
		"nothing is there":                              {func(m map[string][]byte) { clear(m) }, verify.Options{}, verify.NoLog},
		"something behind a segment's end":              {func(m map[string][]byte) { m[second][len(m[second])-1] = 1 }, verify.Options{}, verify.BadTail},
		"the last commit is cut":                        {edit(last, func(r []segment.Record) []segment.Record { return r[:len(r)-2] }), verify.Options{}, verify.MoreHashes},
		"the end is cut with its hashes, beside a head": {func(m map[string][]byte) { clear(m); maps.Copy(m, first) }, verify.Options{Head: &tree}, verify.Shorter},
		"another journal, beside a head":                {func(m map[string][]byte) { clear(m); maps.Copy(m, foreign) }, verify.Options{Head: &tree}, verify.Fork},
		"another journal, beside the device's key":      {func(m map[string][]byte) { clear(m); maps.Copy(m, foreign) }, verify.Options{Device: device}, verify.Stranger},
	} {
		t.Run(name, func(t *testing.T) {
			m := map[string][]byte{}
			for n, text := range whole {
				m[n] = bytes.Clone(text)
			}
			c.change(m)
			r := verified(t, written(t, m), c.opt)
			require.NotEmpty(t, r.Damage)
			if c.want != "" {
				codes := []verify.Code{}
				for _, f := range r.Damage {
					codes = append(codes, f.Code)
				}
				require.Contains(t, codes, c.want, r.Write(verify.English))
			}
			for _, lang := range []verify.Lang{verify.English, verify.Japanese} {
				require.NotContains(t, r.Write(lang), "%!", "a sentence that does not fit its values")
			}
		})
	}
	require.True(t, verified(t, j.log(), verify.Options{Head: &tree, Device: device}).Good())
}

// What is not noticed, and why that takes nothing away: a checkpoint whose entries a later one covers can be left out.
func TestACheckpointLessIsNoDamage(t *testing.T) {
	j := newJournal(t, 9)
	j.live(6)
	m := files(t, j.log())
	name := segments(m)[0]
	m[name] = rewrite(t, m[name], func(r []segment.Record) []segment.Record { return slices.Delete(r, 7, 8) })
	r := verified(t, written(t, m), verify.Options{})
	require.True(t, r.Good(), r.Write(verify.English))
	require.EqualValues(t, 8, r.Entries)
	require.EqualValues(t, 6, r.Checkpoints)
}

// next gives an entry's bytes with the number behind it.
func next(t *testing.T, body []byte) []byte {
	begin, rest, ok := strings.Cut(string(body), `,`)
	require.True(t, ok)
	return []byte(begin[:len(begin)-1] + string(begin[len(begin)-1]+1) + "," + rest)
}

func mono(body []byte) []byte {
	begin, rest, _ := strings.Cut(string(body), `"mono":`)
	_, rest, _ = strings.Cut(rest, `,`)
	return []byte(begin + `"mono":1,` + rest)
}

// Behind the damage the log is read on where a segment's head gives a new hold.
func TestTheRestIsStillRead(t *testing.T) {
	j := newJournal(t, 5)
	j.live(60)
	m := files(t, j.log())
	names := segments(m)
	require.GreaterOrEqual(t, len(names), 4)
	m[names[1]][2000] ^= 1
	m[names[2]][100] ^= 1
	r := verified(t, written(t, m), verify.Options{})
	require.Len(t, r.Damage, 2)
	require.Equal(t, []string{names[1], names[2]}, []string{r.Damage[0].File, r.Damage[1].File})
	require.Greater(t, r.Entries, uint64(30))
	require.NotEmpty(t, r.Damage[0].Since)
	require.Contains(t, verify.Say(r.Damage[0], verify.English), "The good entries before it reach to 2026-11-22 10:00:")
	require.Contains(t, verify.Say(r.Damage[0], verify.Japanese), "それより前の正しい項目は 2026-11-22 10:00:")
}

func TestRemarks(t *testing.T) {
	j := newJournal(t, 6)
	j.live(3)
	m := files(t, j.log())
	name := segments(m)[0]
	end := len(bytes.TrimRight(m[name], "\x00"))
	copy(m[name][end:], "an unfinished write")
	require.NoError(t, os.WriteFile(filepath.Join(j.log(), name), m[name], 0o600))
	require.Equal(t, verify.Unfinished, verified(t, j.log(), verify.Options{}).Damage[0].Code)
	j.start = j.start.AddDate(0, 0, -1)
	j.live(3)
	r := verified(t, j.log(), verify.Options{})
	require.True(t, r.Good(), r.Write(verify.English))
	require.Equal(t, []verify.Code{verify.ClockBack, verify.Recovered}, []verify.Code{r.Remarks[0].Code, r.Remarks[1].Code})
	require.NoError(t, os.Remove(filepath.Join(j.log(), "hashes")))
	r = verified(t, j.log(), verify.Options{})
	require.True(t, r.Good())
	require.Equal(t, verify.FewHashes, r.Remarks[2].Code)
}

func TestWhatCannotBeRead(t *testing.T) {
	_, err := verify.Folder(filepath.Join(t.TempDir(), "nothing"), verify.Options{})
	require.Error(t, err)
}

// Whatever is in a folder, verifying it ends, and does not find it good unless it is.
func FuzzSegment(f *testing.F) {
	j := newJournal(f, 8)
	j.live(2)
	m := files(f, j.log())
	name := segments(m)[0]
	whole := m[name]
	f.Add(bytes.TrimRight(whole, "\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > segment.MinBytes {
			return
		}
		full := append(bytes.Clone(text), make([]byte, segment.MinBytes-len(text))...)
		r := verified(t, written(t, map[string][]byte{name: full, "hashes": m["hashes"]}), verify.Options{})
		require.Equal(t, bytes.Equal(full, whole), r.Good())
	})
}
