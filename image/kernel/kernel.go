// Package kernel builds Choba's Linux: Debian's source, configured from
// nothing by the fragments beside this file, with the certificates, the IPE
// boot policy and the initramfs of one boot image inside.
//
// It is not the boot image: it signs nothing and does not know what the
// initramfs holds. It is not a general kernel builder: one architecture, one
// configuration, no modules.
//
// The rule that keeps it small: what the kernel can do is said in the
// fragments and nowhere else, and the gate refuses a configuration that is not
// exactly what they say.
//
// Everything lives in a cache outside the clone:
//
//	lock               held while a build runs
//	linux-VERSION/     the source, unpacked once
//	  object/          the object tree, kept for relinking
//	    choba/         inputs, at fixed relative paths, so that neither the
//	                   clone's nor the cache's place is in the result
//	finished/KEY       finished kernels, by the hash of all that went in
//	build.log          what make said last
//
// A new set of fragments or a new compiler recompiles in the same object tree:
// kbuild tracks both for each object. A new source version gets a new tree.
package kernel

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	sourcePackage = "linux-source-6.12"
	sourceFile    = "/usr/src/linux-source-6.12.tar.xz"
)

// Inputs are what goes into one kernel beside source and fragments.
type Inputs struct {
	Trusted    []byte // PEM certificates of the built-in key ring
	BootPolicy []byte // IPE policy, text
	Initramfs  []byte // cpio archive (newc), not compressed
}

// Builder makes kernels. The zero value uses Debian's source and the default
// cache and tells nobody about its progress.
type Builder struct {
	Cache    string    // folder for source, objects and finished kernels; "" = DefaultCache
	Progress io.Writer // gets a line every few seconds; nil = nobody

	Source    string   // the source's tar.xz; "" = where Debian's package puts it
	Version   string   // the source's version; "" = ask dpkg
	Fragments []string // texts of configuration fragments; nil = those of this package
}

// DefaultCache is $CHOBA_CACHE/kernel, or choba/kernel in the user's cache.
func DefaultCache() (string, error) {
	if d := os.Getenv("CHOBA_CACHE"); d != "" {
		return filepath.Abs(filepath.Join(d, "kernel"))
	}
	d, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache: %w", err)
	}
	return filepath.Join(d, "choba", "kernel"), nil
}

// Build returns the bzImage for the inputs. One that was built before comes
// from the cache; a change of inputs costs a relink; only the first build on a
// machine compiles everything.
func (b Builder) Build(ctx context.Context, in Inputs) ([]byte, error) {
	t, err := b.tree(ctx)
	if err != nil {
		return nil, fmt.Errorf("building the kernel: %w", err)
	}
	finished := filepath.Join(t.cache, "finished", in.key(t.key))
	if image, err := os.ReadFile(finished); err == nil {
		touch(finished)
		return image, nil
	}
	unlock, err := t.lock(ctx)
	if err != nil {
		return nil, fmt.Errorf("building the kernel: %w", err)
	}
	defer unlock()
	if image, err := os.ReadFile(finished); err == nil {
		return image, nil // another build made it while we waited
	}
	image, err := t.build(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("building the kernel: %w", err)
	}
	if err := keep(finished, image); err != nil {
		return nil, fmt.Errorf("keeping the kernel: %w", err)
	}
	return image, nil
}

// Key names what Build would return for the inputs, in 64 hex digits, without building
// it: the source, the tools, the configuration and the inputs.
func (b Builder) Key(ctx context.Context, in Inputs) (string, error) {
	t, err := b.tree(ctx)
	if err != nil {
		return "", fmt.Errorf("naming the kernel: %w", err)
	}
	return in.key(t.key), nil
}

// key names a finished kernel: the tree's key and each input with its length.
func (in Inputs) key(tree string) string {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(tree), in.Trusted, in.BootPolicy, in.Initramfs} {
		fmt.Fprintf(h, "%d\n", len(part))
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// tree finds out what would be built where.
func (b Builder) tree(ctx context.Context) (*tree, error) {
	t := &tree{cache: b.Cache, source: b.Source, progress: b.Progress, started: time.Now()}
	var err error
	if t.cache == "" {
		if t.cache, err = DefaultCache(); err != nil {
			return nil, err
		}
	}
	if t.source == "" {
		t.source = sourceFile
	}
	if t.progress == nil {
		t.progress = io.Discard
	}
	version := b.Version
	if version == "" {
		if version, err = output(ctx, "dpkg-query", "-W", "-f", "${Version}", sourcePackage); err != nil {
			return nil, fmt.Errorf("finding the source (package %s): %w", sourcePackage, err)
		}
	}
	if t.config, err = joined(b.Fragments); err != nil {
		return nil, err
	}
	t.dir = filepath.Join(t.cache, "linux-"+plain(version))
	t.key, err = treeKey(ctx, version, t.config)
	return t, err
}

// treeKey hashes what decides the objects: source, tools and configuration.
func treeKey(ctx context.Context, version string, config []byte) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "source %s\n%s\n", version, strings.Join(environment(), "\n"))
	for _, tool := range []string{"gcc", "ld", "zstd"} {
		text, err := output(ctx, tool, "--version")
		if err != nil {
			return "", fmt.Errorf("asking %s for its version: %w", tool, err)
		}
		line, _, _ := strings.Cut(text, "\n")
		fmt.Fprintf(h, "tool %s\n", line)
	}
	h.Write(config)
	return hex.EncodeToString(h.Sum(nil)), nil
}

func output(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	return strings.TrimSpace(string(out)), err
}

// plain keeps letters, digits, dots and dashes: a version becomes a folder
// name that neither make nor a shell reads anything into.
func plain(version string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '.' {
			return r
		}
		return '-'
	}, version)
}
