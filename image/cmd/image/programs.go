package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// program is one Go program: where its main package is, and its path in the image.
// One without a path goes into the initramfs.
type program struct{ pkg, path string }

const (
	recoveryPkg = "./recovery"
	probePkg    = "./tests/vm/probe"
	probePath   = "/svc/probe"
	confinePath = "/sbin/confine"
)

// programs is the whole list: what boots, and every service of the table.
func (c config) programs() []program {
	list := []program{
		{recoveryPkg, ""},
		{"./init", "/init"},
		{"./init/confine", confinePath},
	}
	for _, path := range c.services {
		list = append(list, program{"./services/" + filepath.Base(path) + "/cmd", path})
	}
	if c.probe {
		list = append(list, program{probePkg, probePath}, program{probePkg + "/confine", confinePath})
	}
	return c.spoiled(list)
}

// parallel is how many linkers run at once.
const parallel = 2

// buildFlags give a static binary that depends on its sources only.
func buildFlags() []string {
	return []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid="}
}

func goEnv() []string {
	return append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOAMD64=v1", "GOEXPERIMENT=", "GOFIPS140=off")
}

// buildPrograms returns the path of each built program by its package, and how
// many had to be built.
func (c config) buildPrograms(ctx context.Context) (map[string]string, int, error) {
	list := c.programs()
	keys, err := c.sourceKeys(ctx, list)
	if err != nil {
		return nil, 0, fmt.Errorf("reading the sources: %w", err)
	}
	paths := make([]string, len(list))
	built := make([]bool, len(list))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, p := range list {
		group.Go(func() error {
			path, hit, err := cache{c.cache}.file("program", keys[p.pkg], func(path string) error {
				return c.command(ctx, "go", append(buildFlags(), "-o", path, p.pkg)...)
			})
			if err != nil {
				return fmt.Errorf("building %s: %w", p.pkg, err)
			}
			paths[i], built[i] = path, !hit
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, 0, err
	}
	out, n := map[string]string{}, 0
	for i, p := range list {
		out[p.pkg] = paths[i]
		if built[i] {
			n++
		}
	}
	return out, n, nil
}

// command runs a tool in the repository; its output is shown when it fails.
func (c config) command(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = c.root, goEnv()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, bytes.TrimSpace(out))
	}
	return nil
}

// goPackage is what `go list` says of a package.
type goPackage struct {
	Dir, ImportPath                     string
	GoFiles, SFiles, HFiles, EmbedFiles []string
	Deps                                []string
	Standard                            bool
	Module                              *struct {
		Path, Version string
		Main          bool
	}
	Error *struct{ Err string }
}

// sourceKeys returns for each program a hash of everything that it is made from:
// the Go release, the flags, the versions of modules, the contents of our files.
func (c config) sourceKeys(ctx context.Context, list []program) (map[string]string, error) {
	args := []string{"list", "-deps", "-json=Dir,ImportPath,GoFiles,SFiles,HFiles,EmbedFiles,Deps,Standard,Module,Error"}
	for _, p := range list {
		args = append(args, p.pkg)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stderr = c.root, goEnv(), &stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, stderr.Bytes())
	}
	all, err := decodePackages(text)
	if err != nil {
		return nil, err
	}
	own := map[string]string{}
	for path, p := range all {
		if own[path], err = p.key(); err != nil {
			return nil, err
		}
	}
	out := map[string]string{}
	for _, p := range list {
		main, err := c.mainOf(all, p.pkg)
		if err != nil {
			return nil, err
		}
		parts := []string{runtime.Version(), strings.Join(buildFlags(), " "), own[main.ImportPath]}
		for _, dep := range slices.Sorted(slices.Values(main.Deps)) {
			parts = append(parts, dep, own[dep])
		}
		out[p.pkg] = key(parts...)
	}
	return out, nil
}

func decodePackages(text []byte) (map[string]goPackage, error) {
	all := map[string]goPackage{}
	for dec := json.NewDecoder(bytes.NewReader(text)); ; {
		var p goPackage
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if p.Error != nil {
			return nil, fmt.Errorf("%s: %s", p.ImportPath, p.Error.Err)
		}
		all[p.ImportPath] = p
	}
}

func (c config) mainOf(all map[string]goPackage, pkg string) (goPackage, error) {
	for _, p := range all {
		if p.Dir == filepath.Join(c.root, pkg) {
			return p, nil
		}
	}
	return goPackage{}, fmt.Errorf("no package %s", pkg)
}

func (p goPackage) key() (string, error) {
	switch {
	case p.Standard:
		return "std", nil // runtime.Version stands for it
	case p.Module == nil:
		return "", fmt.Errorf("%s belongs to no module", p.ImportPath)
	case !p.Module.Main:
		return p.Module.Path + "@" + p.Module.Version, nil
	}
	var parts []string
	for _, f := range slices.Concat(p.GoFiles, p.SFiles, p.HFiles, p.EmbedFiles) {
		data, err := os.ReadFile(filepath.Join(p.Dir, f))
		if err != nil {
			return "", err
		}
		sum := sha256.Sum256(data)
		parts = append(parts, f, string(sum[:]))
	}
	return key(parts...), nil
}
