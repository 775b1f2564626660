package arch

import (
	"go/ast"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// listed are the Debian packages of the one list.
func listed(t *testing.T, root string) map[string]bool {
	b, err := os.ReadFile(filepath.Join(root, "image/deps/debian.txt"))
	require.NoError(t, err)
	out := map[string]bool{}
	for _, l := range strings.Split(string(b), "\n") {
		if f := strings.Fields(l); len(f) > 0 && !strings.HasPrefix(f[0], "#") {
			require.Greater(t, len(f), 1, "%s stands without a reason", f[0])
			require.False(t, out[f[0]], "%s stands twice", f[0])
			out[f[0]] = true
		}
	}
	return out
}

// Every foreign program that our code or build.sh starts comes from a package
// of the list, or is in every Debian: a new machine must not lack it.
func TestForeignProgramsAreListed(t *testing.T) {
	root, all := load(t)
	have := listed(t, root)
	for name, where := range commands(all) {
		if name == "chromium" { // of image/deps/pictures.txt: no build and no test starts it
			continue
		}
		path := find(name)
		if !assertf(t, path != "", "%s, started in %s, is not on this machine", name, where) {
			continue
		}
		pkg, everywhere := owner(t, path)
		assertf(t, everywhere || have[pkg], "%s, started in %s, comes from %s, which image/deps/debian.txt lacks", name, where, pkg)
	}
}

func assertf(t *testing.T, ok bool, format string, args ...any) bool {
	t.Helper()
	if !ok {
		t.Errorf(format, args...)
	}
	return ok
}

// starters are functions whose given argument names a program.
var starters = map[string]int{"exec.Command": 0, "exec.CommandContext": 1, "tool": 1, "command": 1}

// commands are the programs named in calls, with one place each. "go" is asked
// for by build.sh itself: Debian's is too old.
func commands(all map[string]*Package) map[string]string {
	out := map[string]string{}
	for _, p := range all {
		for _, f := range p.Files {
			ast.Inspect(f.AST, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				at, ok := starters[callee(call)]
				if !ok || at >= len(call.Args) {
					return true
				}
				if first, isName := call.Args[0].(*ast.Ident); callee(call) == "command" && (!isName || first.Name != "ctx") {
					return true // a method of that name that starts nothing
				}
				lit, ok := call.Args[at].(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING {
					return true
				}
				if name, err := strconv.Unquote(lit.Value); err == nil && name != "go" && name != "" && !strings.Contains(name, " ") {
					out[name] = f.Path
				}
				return true
			})
		}
	}
	return out
}

func callee(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok && x.Name == "exec" {
			return "exec." + f.Sel.Name
		}
		return f.Sel.Name
	}
	return ""
}

func find(name string) string {
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	for _, dir := range []string{"/sbin", "/usr/sbin"} {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p
		}
	}
	return ""
}

// owner is the package that a program comes from, and whether every Debian has it.
func owner(t *testing.T, path string) (pkg string, everywhere bool) {
	for _, p := range []string{path, "/usr" + path, strings.TrimPrefix(path, "/usr")} {
		out, err := exec.Command("dpkg-query", "-S", p).Output()
		if err != nil {
			continue
		}
		pkg, _, _ = strings.Cut(string(out), ":")
		out, err = exec.Command("dpkg-query", "-W", "-f", "${Essential} ${Priority}", pkg).Output()
		require.NoError(t, err)
		return pkg, strings.Contains(string(out), "yes") || strings.Contains(string(out), "required")
	}
	return "no package", false
}
