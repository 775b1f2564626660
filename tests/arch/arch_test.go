package arch

import (
	"fmt"
	"go/ast"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func load(t *testing.T) (string, map[string]*Package) {
	root, err := Root()
	require.NoError(t, err)
	all, err := Load(root)
	require.NoError(t, err)
	require.Greater(t, len(all), 20)
	return root, all
}

func sorted(all map[string]*Package) []*Package {
	var out []*Package
	for _, p := range all {
		if p.Name != "" { // a folder of tests only has no package of its own
			out = append(out, p)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Dir < out[j].Dir })
	return out
}

// problems fails the test with all of them, so that one run shows the whole work.
func problems(t *testing.T, list []string) {
	t.Helper()
	if len(list) > 0 {
		t.Fatalf("%d places:\n%s", len(list), strings.Join(list, "\n"))
	}
}

// Every package says what it is, what it is not, and the rule that keeps it small.
func TestPackageDocs(t *testing.T) {
	_, all := load(t)
	var bad []string
	for _, p := range sorted(all) {
		doc := strings.ToLower(p.Doc)
		switch {
		case doc == "":
			bad = append(bad, p.Dir+": no package comment")
		case !strings.Contains(doc, " not ") && !strings.Contains(doc, " no "):
			bad = append(bad, p.Dir+": does not say what it is not")
		case !strings.Contains(doc, "rule"):
			bad = append(bad, p.Dir+": does not say the rule that keeps it small")
		}
	}
	problems(t, bad)
}

// Sizes: a larger one is a second room inside. Tables and generated files are excepted by name.
func TestSizes(t *testing.T) {
	const file, function, mainFunction = 500, 80, 40
	_, all := load(t)
	var bad []string
	for _, p := range sorted(all) {
		for _, f := range p.Files {
			if f.Lines > file && !ast.IsGenerated(f.AST) {
				bad = append(bad, fmt.Sprintf("%s: %d lines, want at most %d", f.Path, f.Lines, file))
			}
			for _, d := range f.AST.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok || fn.Body == nil {
					continue
				}
				n := f.Set.Position(fn.End()).Line - f.Set.Position(fn.Pos()).Line + 1
				limit := function
				if fn.Name.Name == "main" {
					limit = mainFunction
				}
				if n > limit && !(f.Test && strings.HasPrefix(fn.Name.Name, "Test")) {
					bad = append(bad, fmt.Sprintf("%s: func %s has %d lines, want at most %d", f.Path, fn.Name.Name, n, limit))
				}
			}
		}
	}
	problems(t, bad)
}

// Names that say nothing collect everything.
func TestNames(t *testing.T) {
	_, all := load(t)
	var bad []string
	for _, p := range sorted(all) {
		for _, part := range strings.Split(p.Dir, "/") {
			switch part {
			case "util", "utils", "common", "helper", "helpers", "base", "misc", "lib", "pkg":
				bad = append(bad, p.Dir)
			}
		}
	}
	problems(t, bad)
}

// calls that hide a decision: each with the reason and the folders that may.
var forbidden = []struct {
	pkg, name, reason string
	allowed           []string
}{
	{"os", "Exit", "only main exits, once", []string{"main"}},
	{"log", "", "logging is logrus, handed to constructors", nil},
	{"os", "Getenv", "configuration is one file, read once", []string{"build", "init", "recovery", "tests", "keys/dev", "image", "services/journal/verify/cmd"}},
	{"time", "Sleep", "waiting is for an event or a context; a poll of hardware says so in its file", []string{"tests", "drivers", "init", "recovery", "services/ports", "services/devices", "image"}},
}

func TestForbiddenCalls(t *testing.T) {
	_, all := load(t)
	var bad []string
	for _, p := range sorted(all) {
		for _, f := range p.Files {
			if f.Test {
				continue
			}
			ast.Inspect(f.AST, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				x, ok := sel.X.(*ast.Ident)
				if !ok {
					return true
				}
				for _, rule := range forbidden {
					if x.Obj == nil && x.Name == rule.pkg && (rule.name == "" || sel.Sel.Name == rule.name) && imports(f, rule.pkg) && !mayCall(p, rule.allowed) {
						bad = append(bad, fmt.Sprintf("%s: %s.%s: %s", f.Set.Position(sel.Pos()), x.Name, sel.Sel.Name, rule.reason))
					}
				}
				return true
			})
			for _, d := range f.AST.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
					bad = append(bad, f.Path+": func init: a main names what it wants")
				}
			}
		}
	}
	problems(t, bad)
}

func imports(f File, path string) bool {
	for _, i := range f.AST.Imports {
		if strings.Trim(i.Path.Value, `"`) == path {
			return true
		}
	}
	return false
}

func mayCall(p *Package, allowed []string) bool {
	for _, a := range allowed {
		if a == "main" && p.Name == "main" || p.Dir == a || strings.HasPrefix(p.Dir, a+"/") {
			return true
		}
	}
	return false
}

func callsNow(f File) bool {
	found := false
	ast.Inspect(f.AST, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			x, isIdent := sel.X.(*ast.Ident)
			found = found || isIdent && x.Name == "time" && (sel.Sel.Name == "Now" || sel.Sel.Name == "Since")
		}
		return true
	})
	return found
}
