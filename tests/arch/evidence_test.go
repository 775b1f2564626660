package arch

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// named is how docs/suffered.md names a test: the folder, a point, the function, in back quotes.
var named = regexp.MustCompile("`([a-z0-9/]+)\\.((?:Test|Fuzz)[A-Za-z0-9_]*)`")

// tests are all test functions of the module, as folder.Name.
func tests(all map[string]*Package) map[string]bool {
	out := map[string]bool{}
	for _, p := range all {
		for _, f := range p.Files {
			for _, d := range f.AST.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && f.Test && fn.Recv == nil {
					out[p.Dir+"."+fn.Name.Name] = true
				}
			}
		}
	}
	return out
}

// docs/suffered.md says what others' users suffered, what attackers try, and which tests prove what Choba does about it.
// Every row names at least one, and every one named exists.
func TestSufferedRowsHaveTests(t *testing.T) {
	root, all := load(t)
	have := tests(all)
	text, err := os.ReadFile(filepath.Join(root, "docs/suffered.md"))
	require.NoError(t, err)
	rows := 0
	var bad []string
	for _, line := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || strings.HasSuffix(line, "| proved by |") {
			continue
		}
		rows++
		if len(named.FindAllString(line, -1)) == 0 {
			bad = append(bad, "no test: "+line)
		}
	}
	for _, m := range named.FindAllStringSubmatch(string(text), -1) {
		if !have[m[1]+"."+m[2]] {
			bad = append(bad, "no such test: "+m[1]+"."+m[2])
		}
	}
	problems(t, bad)
	require.Greater(t, rows, 40)
}

// Firmware loses, reorders and deletes boot variables, and wears out where they lie. Nothing that runs on a register
// knows of them: what is decided stands on the disk.
func TestNothingNeedsBootVariables(t *testing.T) {
	_, all := load(t)
	var bad []string
	for _, p := range sorted(all) {
		if isBenchSide(p.Dir) {
			continue
		}
		for _, f := range p.Files {
			ast.Inspect(f.AST, func(n ast.Node) bool {
				lit, ok := n.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING || f.Test {
					return true
				}
				for _, word := range []string{"efivar", "BootNext", "BootOrder", "Boot0", "LoaderEntry"} {
					if strings.Contains(lit.Value, word) {
						bad = append(bad, f.Set.Position(lit.Pos()).String()+": "+lit.Value)
					}
				}
				return true
			})
		}
	}
	problems(t, bad)
}
