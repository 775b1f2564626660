// Package arch reads the project's own source and holds it to its shape: the
// floors and who may import whom, package docs, sizes, forbidden calls, the one
// list of Debian packages.
//
// It is not a linter of style in general: gofmt and vet do that.
//
// The rule that keeps it small: each check is one table with the reason in it
// and one loop over the parsed tree.
package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Module is the import path that all packages share.
const Module = "github.com/choba-os/choba"

// File is one parsed Go file.
type File struct {
	Path  string // from the root, with slashes
	Test  bool
	AST   *ast.File
	Set   *token.FileSet
	Lines int
}

// Package is one folder of Go files.
type Package struct {
	Dir   string // from the root
	Name  string
	Doc   string
	Files []File
}

// Imports are the import paths of the package, without its tests.
func (p Package) Imports() []string {
	var out []string
	for _, f := range p.Files {
		if f.Test {
			continue
		}
		for _, i := range f.AST.Imports {
			out = append(out, strings.Trim(i.Path.Value, `"`))
		}
	}
	return out
}

// Root finds the folder with go.mod above the working directory.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("finding the project's root: no go.mod above the working directory")
		}
	}
}

// Load parses every Go file below root, leaving out what git ignores by name.
func Load(root string) (map[string]*Package, error) {
	out := map[string]*Package{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if d.IsDir() && (rel == "out" || strings.HasPrefix(d.Name(), ".") && rel != "." || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		return add(out, path, filepath.ToSlash(rel))
	})
	return out, err
}

func add(out map[string]*Package, path, rel string) error {
	src, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, path, src, parser.ParseComments)
	if err != nil {
		return err
	}
	dir := filepath.ToSlash(filepath.Dir(rel))
	p := out[dir]
	if p == nil {
		p = &Package{Dir: dir}
		out[dir] = p
	}
	file := File{Path: rel, Test: strings.HasSuffix(rel, "_test.go"), AST: f, Set: set, Lines: strings.Count(string(src), "\n")}
	p.Files = append(p.Files, file)
	if !file.Test {
		p.Name = f.Name.Name
		if f.Doc != nil {
			p.Doc += f.Doc.Text()
		}
	}
	return nil
}
