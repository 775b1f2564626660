package arch

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// floor is one line of the table in docs/decisions/0001-shape.md: a folder and
// what it may import of this module, with the reason. The longest matching
// folder counts. A folder in no line fails the test: a new top folder is a
// decision, not an accident.
type floor struct {
	dir    string
	may    []string // import prefixes inside the module; "." is the folder itself
	reason string
}

var floors = []floor{
	{"services/till", []string{"services/till"}, "the shop's own words: pure"},
	{"keys/trust", nil, "who may sign what: pure"},
	{"keys", []string{"keys", "drivers/disk", "image/frame", "image/layout"}, "sealing and development keys; blobs lie on the state partition, in its frames"},
	{"image", []string{"image", "keys", "drivers/disk"}, "stored formats and how they are signed"},
	{"image/frame", []string{"image/frame", "image/layout"}, "bytes on a raw disk; keys stand on it, so it knows no keys"},
	{"image/layout", nil, "numbers of the disk; keys stand on it, so it knows no keys"},
	{"image/cmd", []string{"image", "keys", "services/table", "services/register/pack", "services/ports/policy", "drivers/display/fonts"}, "bench side: packs everything, is in no image"},
	{"image/disk", []string{"image", "keys"}, "bench side: writes the whole disk"},
	{"drivers", []string{"drivers"}, "hardware; no shop words"},
	{"services/link", []string{"services/table"}, "how services reach each other; the table says who may"},
	{"services/table", nil, "what runs, as whom, callable by whom"},
	{"services", []string{".", "services/*/api", "services/link", "services/table", "services/till", "keys/trust", "drivers"}, "own folder, others only through their api; what lies on a disk only where a line below says why"},
	{"services/stick", []string{".", "services/*/api", "services/link", "services/table", "drivers", "image/fat", "image/source"}, "reads a stranger's file system; nothing of the shop, of slots or of releases"},
	{"services/update", []string{".", "services/*/api", "services/link", "services/table", "keys/trust", "image/frame", "image/layout", "image/release", "image/repository", "image/slot", "image/source", "image/verity"}, "writes a slot: knows what lies where in one, and nothing of the shop"},
	{"services/register/pack/cmd", []string{".", "keys"}, "bench side: signs store packs, is in no image"},
	{"init", []string{"init", "image", "keys", "drivers", "services/table", "services/link", "services/*/api"}, "formats, keys, drivers; never a service's inside"},
	{"recovery", []string{"recovery", "image", "keys", "drivers"}, "formats, keys, drivers; no service runs yet"},
	{"tests", []string{"image", "keys", "drivers", "services", "init", "recovery", "tests"}, "everything; nobody imports tests"},
}

// benchSide are folders whose code must not end in a register's image.
var benchSide = []string{"image/cmd", "image/disk", "image/kernel", "image/bootimage", "image/firmware", "keys/dev", "keys/keyfile", "keys/cmd", "tests"}

func floorOf(dir string) (floor, bool) {
	best, ok := floor{}, false
	for _, f := range floors {
		if (dir == f.dir || strings.HasPrefix(dir, f.dir+"/")) && len(f.dir) >= len(best.dir) {
			best, ok = f, true
		}
	}
	return best, ok
}

// own is the folder that a service's packages share: services/X.
func own(dir string) string {
	parts := strings.SplitN(dir, "/", 3)
	return strings.Join(parts[:min(2, len(parts))], "/")
}

func matches(pattern, from, to string) bool {
	if pattern == "." {
		pattern = own(from)
	}
	if head, tail, ok := strings.Cut(pattern, "*"); ok {
		rest, found := strings.CutPrefix(to, head)
		return found && strings.HasSuffix(rest, tail) && strings.Count(rest, "/") == strings.Count(tail, "/")
	}
	return to == pattern || strings.HasPrefix(to, pattern+"/")
}

func TestFloors(t *testing.T) {
	_, all := load(t)
	var bad []string
	for _, p := range sorted(all) {
		f, ok := floorOf(p.Dir)
		if !ok {
			bad = append(bad, p.Dir+": on no floor")
			continue
		}
		for _, imp := range p.Imports() {
			to, inside := strings.CutPrefix(imp, Module+"/")
			if !inside {
				continue
			}
			allowed := false
			for _, m := range f.may {
				allowed = allowed || matches(m, p.Dir, to)
			}
			if !allowed {
				bad = append(bad, fmt.Sprintf("%s imports %s (floor %s: %s)", p.Dir, to, f.dir, f.reason))
			}
		}
	}
	problems(t, bad)
}

// The pure floors see nothing of the world: same input, same output, replayable
// on any computer years later.
func TestPureFloors(t *testing.T) {
	world := []string{"os", "net", "log", "syscall", "io/fs", "io/ioutil", "path/filepath", "runtime", "math/rand", "crypto/rand", "embed"}
	_, all := load(t)
	var bad []string
	for _, p := range sorted(all) {
		if !strings.HasPrefix(p.Dir, "services/till") && p.Dir != "keys/trust" {
			continue
		}
		for _, imp := range p.Imports() {
			for _, w := range world {
				if imp == w || strings.HasPrefix(imp, w+"/") {
					bad = append(bad, p.Dir+" imports "+imp)
				}
			}
			if strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") && !strings.HasPrefix(imp, Module) && !strings.HasPrefix(imp, "golang.org/x/mod/sumdb/note") {
				bad = append(bad, p.Dir+" imports "+imp)
			}
		}
		for _, f := range p.Files {
			if !f.Test && imports(f, "time") && callsNow(f) {
				bad = append(bad, f.Path+" asks the clock")
			}
		}
	}
	problems(t, bad)
}

// What runs on a register must not contain what only builds or tests it. Folders named …test are for tests.
func TestImageHoldsNoBenchCode(t *testing.T) {
	_, all := load(t)
	mains := 0
	for _, p := range sorted(all) {
		if p.Name != "main" || isBenchSide(p.Dir) || p.Dir == "services/register/pack/cmd" || p.Dir == "services/journal/verify/cmd" || strings.HasPrefix(p.Dir, "drivers/") {
			continue
		}
		mains++
		for _, d := range reach(all, p.Dir) {
			require.False(t, isBenchSide(d) || strings.HasSuffix(d, "test"), "%s reaches %s", p.Dir, d)
		}
	}
	require.GreaterOrEqual(t, mains, 7)
}

func isBenchSide(dir string) bool {
	for _, b := range benchSide {
		if dir == b || strings.HasPrefix(dir, b+"/") {
			return true
		}
	}
	return false
}

// reach is every folder of the module that dir imports, directly or not.
func reach(all map[string]*Package, dir string) []string {
	seen, todo := map[string]bool{}, []string{dir}
	for len(todo) > 0 {
		p := all[todo[0]]
		todo = todo[1:]
		if p == nil {
			continue
		}
		for _, imp := range p.Imports() {
			if to, ok := strings.CutPrefix(imp, Module+"/"); ok && !seen[to] {
				seen[to] = true
				todo = append(todo, to)
			}
		}
	}
	var out []string
	for d := range seen {
		out = append(out, d)
	}
	return out
}
