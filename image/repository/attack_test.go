package repository

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Each test below makes one attack, as it is named in issue trackers and in TUF's own
// list, exactly (A49, A121).

const releaseFile = "choba.pc-x86-64.release"

// two are a repository before and after an update.
func two(t *testing.T) (v *vendor, old, new files) {
	v = newVendor(t)
	v.publish(product, 7)
	old = v.files()
	v.publish(product, 8)
	return v, old, v.files()
}

// resign changes a file's signed part and signs it again with the given keys.
func (f files) resign(t testing.TB, name string, change func(signed map[string]any), keys ...string) files {
	var file struct {
		Signed map[string]any `json:"signed"`
	}
	require.NoError(t, json.Unmarshal(f[name], &file))
	change(file.Signed)
	data, err := json.Marshal(map[string]any{"signed": file.Signed, "signatures": []any{}})
	require.NoError(t, err)
	if len(keys) > 0 {
		data, _, err = AddSignatures(data, ring(keys...))
		require.NoError(t, err)
	}
	return f.with(files{name: data}, name)
}

// rewrite changes a target list and re-signs all that depends on it, as somebody
// with the given target keys and the online keys can.
func (f files) rewrite(t testing.TB, list, snapshot string, change func(signed map[string]any), targetKeys ...string) files {
	f = f.resign(t, list, change, targetKeys...)
	f = f.resign(t, snapshot, func(s map[string]any) {
		s["meta"] = map[string]any{"targets.json": describe(versionOf(s, "targets.json"), f[list])}
	}, "snapshot")
	return f.retime(t, snapshot)
}

func (f files) retime(t testing.TB, snapshot string) files {
	return f.resign(t, "metadata/timestamp.json", func(s map[string]any) {
		s["meta"] = map[string]any{"snapshot.json": describe(versionOf(s, "snapshot.json"), f[snapshot])}
	}, "timestamp")
}

func versionOf(signed map[string]any, name string) int64 {
	return int64(signed["meta"].(map[string]any)[name].(map[string]any)["version"].(float64))
}

// Rollback of metadata: the whole repository of yesterday, or one old file
// (CVE-2022-29173: go-tuf once missed it for all roles but the root).
func TestRollback(t *testing.T) {
	_, old, new := two(t)
	r := newRegister(t)
	r.takes(new, epoch, 8)
	r.refuses(old, epoch, ErrRollback)
	r.refuses(new.with(old, "metadata/timestamp.json"), epoch, ErrRollback)
	newRegister(t).takes(old, epoch, 7) // who has seen nothing newer has nothing to hold against it
	r.takes(new, epoch, 8)

	// A newer timestamp that names an older snapshot; a newer snapshot that names an
	// older target list.
	bad := old.resign(t, "metadata/timestamp.json", func(s map[string]any) { s["version"] = 9 }, "timestamp")
	r.refuses(bad, epoch, ErrRollback)
	bad = new.with(files{"metadata/3.snapshot.json": old["metadata/1.snapshot.json"]}, "metadata/3.snapshot.json")
	bad = bad.resign(t, "metadata/3.snapshot.json", func(s map[string]any) { s["version"] = 3 }, "snapshot")
	bad = bad.resign(t, "metadata/timestamp.json", func(s map[string]any) {
		s["version"] = 3
		s["meta"] = map[string]any{"snapshot.json": describe(3, bad["metadata/3.snapshot.json"])}
	}, "timestamp")
	r.refuses(bad, epoch, ErrRollback)
}

// Freeze: the same good files for ever. From the day on which the timestamp is out
// of date nothing new is taken from there; fresh metadata is taken at once.
func TestFreeze(t *testing.T) {
	v, _, new := two(t)
	r := newRegister(t)
	r.takes(new, epoch, 8)
	o := r.takes(new, epoch.Add(80*dayLong), 8)
	require.Contains(t, o.Warning, "good only until 2026-05-30")
	r.refuses(new, epoch.Add(91*dayLong), ErrExpired)
	v.now = epoch.Add(91 * dayLong)
	v.advance()
	r.takes(v.files(), v.now, 8)
}

// Each role's own date counts.
func TestExpired(t *testing.T) {
	_, _, new := two(t)
	past := func(s map[string]any) { s["expires"] = "2026-02-28T00:00:00Z" }
	for name, bad := range map[string]files{
		"timestamp": new.resign(t, "metadata/timestamp.json", past, "timestamp"),
		"snapshot":  new.resign(t, "metadata/2.snapshot.json", past, "snapshot").retime(t, "metadata/2.snapshot.json"),
		"targets":   new.rewrite(t, "metadata/2.targets.json", "metadata/2.snapshot.json", past, "targets1", "targets2"),
		"root":      new.with(files{"r": expiredRoot(t)}, "r").renamed("r", "metadata/2.root.json"),
	} {
		_, err := newRegister(t).ask(bad, epoch)
		require.ErrorIs(t, err, ErrExpired, name)
		require.ErrorContains(t, err, name)
	}
}

func (f files) renamed(from, to string) files {
	out := f.without(from)
	out[to] = f[from]
	return out
}

func expiredRoot(t testing.TB) []byte {
	root, err := NewRoot(2, testRoles(), epoch.Add(-dayLong), ring(allKeys...))
	require.NoError(t, err)
	return root
}

// Mix and match: good files of different times, or of another time's contents under
// the right name.
func TestMixAndMatch(t *testing.T) {
	_, old, new := two(t)
	for name, bad := range map[string]files{
		"old target list under the new name": new.with(files{"metadata/2.targets.json": old["metadata/1.targets.json"]}, "metadata/2.targets.json"),
		"old snapshot under the new name":    new.with(files{"metadata/2.snapshot.json": old["metadata/1.snapshot.json"]}, "metadata/2.snapshot.json"),
		"another list of the same version": new.resign(t, "metadata/2.targets.json", func(s map[string]any) {
			s["targets"] = map[string]any{}
		}, "targets1", "targets2"),
	} {
		_, err := newRegister(t).ask(bad, epoch)
		require.ErrorIs(t, err, ErrMixed, name)
	}
	// Cut to the same length as the real one, so that only the hash tells.
	same := bytes.Replace(new["metadata/2.targets.json"], []byte(`"1.8"`), []byte(`"1.9"`), 1)
	require.NotEqual(t, new["metadata/2.targets.json"], same)
	newRegister(t).refuses(new.with(files{"metadata/2.targets.json": same}, "metadata/2.targets.json"), epoch, ErrMixed)
}

// One of two signatures is not enough for any role, nor are strangers', nor one
// person's twice.
func TestThreshold(t *testing.T) {
	v, _, new := two(t)
	same := func(map[string]any) {}
	list, snapshot := "metadata/2.targets.json", "metadata/2.snapshot.json"
	for name, bad := range map[string]files{
		"targets: one":             new.rewrite(t, list, snapshot, same, "targets1"),
		"targets: one, a stranger": new.rewrite(t, list, snapshot, same, "targets1", "mallory"),
		"targets: one, another's":  new.rewrite(t, list, snapshot, same, "targets1", "root1", "snapshot"),
		"targets: none":            new.rewrite(t, list, snapshot, same),
		"snapshot: stranger":       new.resign(t, snapshot, same, "mallory").retime(t, snapshot),
		"timestamp: stranger":      new.resign(t, "metadata/timestamp.json", same, "mallory"),
		"root: one":                new.with(rootFile(t, 2, testRoles(), "root1"), "metadata/2.root.json"),
		"root: new keys only":      new.with(takenOver(t), "metadata/2.root.json"),
	} {
		_, err := newRegister(t).ask(bad, epoch)
		require.ErrorIs(t, err, ErrThreshold, name)
	}
	// One signature under two names of the same key id.
	var file map[string]any
	one := new.rewrite(t, list, snapshot, same, "targets1")
	require.NoError(t, json.Unmarshal(one[list], &file))
	sig := file["signatures"].([]any)[0]
	file["signatures"] = []any{sig, sig}
	data, err := json.Marshal(file)
	require.NoError(t, err)
	bad := new.with(files{list: data}, list)
	bad = bad.resign(t, snapshot, func(s map[string]any) {
		s["meta"] = map[string]any{"targets.json": describe(2, data)}
	}, "snapshot").retime(t, snapshot)
	newRegister(t).refuses(bad, epoch, ErrForm)
	newRegister(t).takes(v.Folder, epoch, 8)
}

func rootFile(t testing.TB, version int64, roles Roles, signers ...string) files {
	root, err := NewRoot(version, roles, forever, ring(signers...))
	require.NoError(t, err)
	return files{fmt.Sprintf("metadata/%d.root.json", version): root}
}

// takenOver is a root that strangers made for themselves.
func takenOver(t testing.TB) files {
	roles := testRoles()
	roles.Root = role(2, "mallory", "mallet")
	return rootFile(t, 2, roles, "mallory", "mallet")
}

// GHSA-fphv-w9fq-2525: a threshold of 0 (or less, or more than there are keys) was
// accepted, so that unsigned metadata counted as signed.
func TestThresholdZero(t *testing.T) {
	_, _, new := two(t)
	for _, n := range []int{0, -1, 3} {
		for _, name := range metadata.TOP_LEVEL_ROLE_NAMES {
			f := files{"metadata/2.root.json": testRoot(t)}
			f = f.resign(t, "metadata/2.root.json", func(s map[string]any) {
				s["version"] = 2
				s["roles"].(map[string]any)[name].(map[string]any)["threshold"] = n
			}, allKeys...)
			newRegister(t).refuses(new.with(f, "metadata/2.root.json"), epoch, ErrThreshold)
			_, err := Open(f["metadata/2.root.json"], t.TempDir())
			require.ErrorIs(t, err, ErrThreshold)
		}
	}
	roles := testRoles()
	roles.Timestamp.Threshold = 0
	_, err := NewRoot(1, roles, forever, ring(allKeys...))
	require.ErrorIs(t, err, ErrThreshold, "and none is written")
}

// A key under a name that is not its own could stand twice and count twice; other
// forms of keys, missing roles and doubled names are refused as well.
func TestHostileRoot(t *testing.T) {
	_, _, new := two(t)
	keys := func(s map[string]any) map[string]any { return s["keys"].(map[string]any) }
	roleOf := func(s map[string]any) map[string]any {
		return s["roles"].(map[string]any)["targets"].(map[string]any)
	}
	for name, change := range map[string]func(map[string]any){
		"one key under two names": func(s map[string]any) {
			id := roleOf(s)["keyids"].([]any)[0].(string)
			other := strings.Repeat("a", 64)
			keys(s)[other] = keys(s)[id]
			roleOf(s)["keyids"] = []any{id, other}
		},
		"one name twice": func(s map[string]any) {
			id := roleOf(s)["keyids"].([]any)[0]
			roleOf(s)["keyids"] = []any{id, id}
		},
		"unknown key": func(s map[string]any) { roleOf(s)["keyids"] = []any{"a", "b"} },
		"no key":      func(s map[string]any) { keys(s)["x"] = nil },
		"short key": func(s map[string]any) {
			keys(s)[firstKey(s)].(map[string]any)["keyval"] = map[string]any{"public": "00"}
		},
		"other kind":       func(s map[string]any) { keys(s)[firstKey(s)].(map[string]any)["keytype"] = "ecdsa" },
		"role missing":     func(s map[string]any) { delete(s["roles"].(map[string]any), "snapshot") },
		"role empty":       func(s map[string]any) { s["roles"].(map[string]any)["snapshot"] = nil },
		"role too many":    func(s map[string]any) { s["roles"].(map[string]any)["mirror"] = roleOf(s) },
		"no consistency":   func(s map[string]any) { s["consistent_snapshot"] = false },
		"version 0":        func(s map[string]any) { s["version"] = 0 },
		"another type":     func(s map[string]any) { s["_type"] = "targets" },
		"version in words": func(s map[string]any) { s["version"] = "two" },
	} {
		f := files{"metadata/2.root.json": testRoot(t)}
		f = f.resign(t, "metadata/2.root.json", func(s map[string]any) { s["version"] = 2; change(s) })
		_, err := newRegister(t).ask(new.with(f, "metadata/2.root.json"), epoch)
		require.ErrorIs(t, err, ErrForm, name)
	}
}

func firstKey(signed map[string]any) string {
	for id := range signed["keys"].(map[string]any) {
		return id
	}
	return ""
}

// GHSA-846p-jg2w-w324: metadata without its parts made the library panic before a
// signature was looked at. Unsigned rubbish in every file is a plain refusal.
func TestRubbish(t *testing.T) {
	_, _, new := two(t)
	for _, name := range []string{"metadata/timestamp.json", "metadata/2.snapshot.json", "metadata/2.targets.json", "metadata/2.root.json"} {
		kind := strings.Split(name, ".")[1]
		if kind == "json" {
			kind = "timestamp"
		}
		for _, text := range []string{
			"", "null", "[]", "{}", `{"signed":null}`, `{"signed":{}}`, `{"signed":{"_type":1}}`, `{"signatures":[],"signed":{"_type":"` + kind + `"}}`,
			`{"signatures":[null],"signed":{"_type":"` + kind + `","meta":null,"keys":null,"roles":null}}`,
			`{"signatures":[{"keyid":"x","sig":"zz"}],"signed":{"_type":"` + kind + `"}}`,
			`{"signatures":[],"signed":{"_type":"` + kind + `","version":1,"expires":"2049-01-01T00:00:00Z","meta":{"snapshot.json":null,"targets.json":null},"targets":{"a":null}}}`,
			strings.Repeat("[", 20000), `{"signed":` + strings.Repeat(`{"a":`, 20000),
		} {
			_, err := newRegister(t).ask(new.with(files{name: []byte(text)}, name), epoch)
			require.Error(t, err, "%s: %.80s", name, text)
		}
	}
	// The online keys alone, in wrong hands, cannot bring a register down either.
	for name, meta := range map[string]any{
		"nothing": nil, "empty": map[string]any{}, "null": map[string]any{"snapshot.json": nil},
		"no hash":   map[string]any{"snapshot.json": map[string]any{"version": 2, "length": 5}},
		"no length": map[string]any{"snapshot.json": map[string]any{"version": 2, "hashes": describe(2, nil).Hashes}},
		"more":      map[string]any{"snapshot.json": describe(2, []byte("x")), "other.json": describe(1, []byte("x"))},
	} {
		bad := new.resign(t, "metadata/timestamp.json", func(s map[string]any) { s["meta"] = meta }, "timestamp")
		_, err := newRegister(t).ask(bad, epoch)
		require.ErrorIs(t, err, ErrForm, name)
	}
	bad := new.rewrite(t, "metadata/2.targets.json", "metadata/2.snapshot.json", func(s map[string]any) {
		s["delegations"] = map[string]any{"keys": map[string]any{}, "roles": []any{}}
	}, "targets1", "targets2")
	newRegister(t).refuses(bad, epoch, ErrForm)
}

// Oversized files: nothing is read beyond what its role may have, or what the role
// above it said.
func TestOversized(t *testing.T) {
	_, _, new := two(t)
	huge := bytes.Repeat([]byte(" "), 3<<20)
	for _, name := range []string{"metadata/timestamp.json", "metadata/2.snapshot.json", "metadata/2.targets.json", "metadata/2.root.json"} {
		limits := &counting{files: new.with(files{name: huge}, name), limits: map[string]int64{}}
		newRegister(t).refuses(limits, epoch, ErrTooLarge)
		require.LessOrEqual(t, limits.limits[name], int64(maxTargets))
		newRegister(t).refuses(careless{limits.files}, epoch, ErrTooLarge) // a fetcher that forgets to count
	}
	for file, limit := range map[string]int64{"metadata/2.snapshot.json": maxSnapshot + 1, "metadata/2.targets.json": maxTargets + 1} {
		bad := new.resignLength(t, file, limit)
		newRegister(t).refuses(bad, epoch, ErrTooLarge)
	}
	bad := new.rewrite(t, "metadata/2.targets.json", "metadata/2.snapshot.json", func(s map[string]any) {
		s["targets"].(map[string]any)[releaseFile].(map[string]any)["length"] = 3 << 30
	}, "targets1", "targets2")
	newRegister(t).refuses(bad, epoch, ErrTooLarge)
}

// resignLength lets the role above claim a length.
func (f files) resignLength(t testing.TB, file string, length int64) files {
	if file == "metadata/2.snapshot.json" {
		return f.resign(t, "metadata/timestamp.json", func(s map[string]any) {
			s["meta"].(map[string]any)["snapshot.json"].(map[string]any)["length"] = length
		}, "timestamp")
	}
	return f.resign(t, "metadata/2.snapshot.json", func(s map[string]any) {
		s["meta"].(map[string]any)["targets.json"].(map[string]any)["length"] = length
	}, "snapshot").retime(t, "metadata/2.snapshot.json")
}

// Wrong product or hardware: named otherwise, absent, or another's manifest under
// this register's name.
func TestWrongProduct(t *testing.T) {
	v, r := newVendor(t), newRegister(t)
	v.publish("other", 7)
	r.refuses(v.Folder, epoch, ErrProduct)
	_, err := r.Latest(t.Context(), v.Folder, product, "thin-9", epoch)
	require.ErrorIs(t, err, ErrProduct)
	require.ErrorContains(t, err, "other.pc-x86-64.release")
	v.publish(product, 7)
	r.takes(v.Folder, epoch, 7)

	_, _, new := two(t)
	f := new.rewrite(t, "metadata/2.targets.json", "metadata/2.snapshot.json", func(s map[string]any) {
		list := s["targets"].(map[string]any)
		list["other.pc-x86-64.release"] = list[releaseFile]
	}, "targets1", "targets2")
	for name := range f {
		if rest, ok := strings.CutSuffix(name, "."+releaseFile); ok {
			f[rest+".other.pc-x86-64.release"] = f[name]
		}
	}
	r = newRegister(t)
	_, err = r.Latest(t.Context(), f, "other", hardware, epoch)
	require.ErrorIs(t, err, ErrProduct)
	require.ErrorContains(t, err, "holds a release of choba")
}

// The manifest that the metadata names, altered, cut or gone.
func TestAltered(t *testing.T) {
	_, _, new := two(t)
	var name string
	for n := range new {
		if strings.HasPrefix(n, "targets/") && bytes.Contains(new[n], []byte("version 8")) {
			name = n
		}
	}
	require.NotEmpty(t, name)
	for i := 0; i < len(new[name]); i += 11 {
		bad := bytes.Clone(new[name])
		bad[i] ^= 1
		_, err := newRegister(t).ask(new.with(files{name: bad}, name), epoch)
		require.ErrorIs(t, err, ErrAltered, "byte %d", i)
	}
	newRegister(t).refuses(new.with(files{name: new[name][:100]}, name), epoch, ErrAltered)
	newRegister(t).refuses(new.without(name), epoch, ErrMissing)
	newRegister(t).refuses(new.without("metadata/timestamp.json"), epoch, ErrMissing)
	newRegister(t).refuses(files{}, epoch, ErrMissing)
	bad := new.rewrite(t, "metadata/2.targets.json", "metadata/2.snapshot.json", func(s map[string]any) {
		d := describe(0, []byte("no note"))
		s["targets"].(map[string]any)[releaseFile] = map[string]any{"length": d.Length, "hashes": d.Hashes}
	}, "targets1", "targets2")
	sum := hex.EncodeToString(describe(0, []byte("no note")).Hashes["sha256"])
	bad["targets/"+sum+"."+releaseFile] = []byte("no note")
	newRegister(t).refuses(bad, epoch, ErrForm)
}

// A stick with good new timestamp and snapshot but without the list or the release
// must not shut out the state before it.
func TestHalfWrittenIsNotRemembered(t *testing.T) {
	_, old, new := two(t)
	r := newRegister(t)
	r.takes(old, epoch, 7)
	r.refuses(new.without("metadata/2.targets.json"), epoch, ErrMissing)
	for name := range new {
		if strings.HasPrefix(name, "targets/") {
			r.refuses(new.without(name).withoutOld(old, name), epoch, ErrMissing)
		}
	}
	r.takes(old, epoch, 7)
	r.takes(new, epoch, 8)
}

// withoutOld drops the new release's manifest, whichever of the two it is.
func (f files) withoutOld(old files, name string) files {
	out := f.without(name)
	for n := range f {
		if strings.HasPrefix(n, "targets/") && old[n] == nil {
			delete(out, n)
		}
	}
	return out
}

// A register that was off for a year: all that it remembers is out of date, and the
// next good release is taken.
func TestOffForAYear(t *testing.T) {
	v, r := newVendor(t), newRegister(t)
	v.publish(product, 7)
	r.takes(v.Folder, epoch, 7)
	v.now = epoch.Add(3 * 365 * dayLong) // the snapshot's and the list's years are over, too
	old := v.files()
	v.publish(product, 9)
	r.refuses(old, v.now, ErrExpired)
	r.takes(v.Folder, v.now, 9)
	r.refuses(old, epoch, ErrRollback)
}

// A clock at 1970 or far behind does not thaw what was out of date at the latest time
// that the register knows; a clock that runs ahead refuses, and is not remembered.
func TestClock(t *testing.T) {
	v, r := newVendor(t), newRegister(t)
	v.publish(product, 7)
	old := v.files()
	v.now = epoch.Add(100 * dayLong)
	v.publish(product, 8)
	o := r.takes(v.Folder, time.Unix(0, 0), 8) // never knew a time: nothing to hold against it
	require.Empty(t, o.Warning)
	r.takes(v.Folder, v.now, 8)
	o = r.takes(v.Folder, time.Unix(0, 0), 8)
	require.Contains(t, o.Warning, "the clock says 1970-01-01, which is past; 2026-06-09 is used")
	r2 := newRegister(t)
	r2.takes(old, epoch.Add(89*dayLong), 7)
	r2.takes(v.Folder, epoch, 8)
	stale := v.files().resign(t, "metadata/timestamp.json", func(s map[string]any) {
		s["version"], s["expires"] = 9, "2026-05-01T00:00:00Z"
	}, "timestamp")
	r2.refuses(stale, time.Unix(0, 0), ErrExpired)
	r.refuses(v.Folder, epoch.Add(50*365*dayLong), ErrExpired)
	r.takes(v.Folder, v.now.Add(dayLong), 8)
}

type counting struct {
	files
	limits map[string]int64
}

// careless hands out more than was asked for.
type careless struct{ files }

func (c *counting) File(ctx context.Context, path string, limit int64) ([]byte, error) {
	c.limits[path] = limit
	return c.files.File(ctx, path, limit)
}

func (c careless) File(_ context.Context, path string, _ int64) ([]byte, error) {
	data, ok := c.files[path]
	if !ok {
		return nil, ErrMissing
	}
	return data, nil
}
