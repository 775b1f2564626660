package kernel

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeMakefile plays the kernel's: allnoconfig copies what it is given (and
// drops CONFIG_DROPPED, as Kconfig does with what it does not know); bzImage is
// the inputs one after the other, and every run is counted.
const fakeMakefile = `
allnoconfig:
	@grep -v -e DROPPED "$(KCONFIG_ALLCONFIG)" > $(O)/.config
	@echo configured >> $(O)/runs
bzImage:
	@echo "  CC      some/file.o"
	@test ! -e $(O)/choba/fail || { echo "some/file.c: broken"; exit 1; }
	@mkdir -p $(O)/arch/x86/boot
	@cat $(O)/choba/trusted.pem $(O)/choba/boot.pol $(O)/choba/initramfs.cpio > $(O)/arch/x86/boot/bzImage
	@printf '%s %s' "$(KBUILD_BUILD_USER)" "$(CFLAGS)" >> $(O)/arch/x86/boot/bzImage
	@echo linked >> $(O)/runs
`

func fakeBuilder(t *testing.T) (Builder, *bytes.Buffer) {
	t.Helper()
	dir := t.TempDir()
	top := filepath.Join(dir, "linux-fake")
	require.NoError(t, os.MkdirAll(top, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(top, "Makefile"), []byte(fakeMakefile), 0o644))
	source := filepath.Join(dir, "source.tar.xz")
	out, err := exec.Command("tar", "-C", dir, "-cJf", source, "linux-fake").CombinedOutput()
	require.NoError(t, err, "%s", out)
	var said bytes.Buffer
	return Builder{Cache: filepath.Join(dir, "cache"), Progress: &said, Source: source, Version: "6.12~1+x",
		Fragments: []string{"# why\nCONFIG_A=y\n", "CONFIG_B=\"text\"\nCONFIG_C=n\n"}}, &said
}

// runs is what the fake make did since the start.
func runs(t *testing.T, b Builder) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(b.Cache, "linux-6.12-1-x", "object", "runs"))
	require.NoError(t, err)
	return strings.Join(strings.Fields(string(text)), " ")
}

func TestBuild(t *testing.T) {
	b, said := fakeBuilder(t)
	t.Setenv("CFLAGS", "-DSTRAY")
	in := Inputs{Trusted: []byte("T"), BootPolicy: []byte("P"), Initramfs: []byte("I")}
	image, err := b.Build(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, "TPIchoba ", string(image), "the caller's environment must not get in")
	require.Contains(t, said.String(), "kernel: unpacking source.tar.xz")

	again, err := b.Build(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, image, again)
	require.Equal(t, "configured linked", runs(t, b), "nothing changed: nothing runs")

	in.Initramfs = []byte("J")
	image, err = b.Build(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, "TPJchoba ", string(image))
	require.Equal(t, "configured linked linked", runs(t, b), "another initramfs: only a relink")

	b.Fragments = append(b.Fragments, "CONFIG_D=y\n")
	_, err = b.Build(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, "configured linked linked configured linked", runs(t, b), "other fragments: configured anew")
}

// A configuration that was changed by hand in the cache does not get through.
func TestBuildRepairsConfiguration(t *testing.T) {
	b, _ := fakeBuilder(t)
	_, err := b.Build(t.Context(), Inputs{})
	require.NoError(t, err)
	config := filepath.Join(b.Cache, "linux-6.12-1-x", "object", ".config")
	require.NoError(t, os.WriteFile(config, []byte("CONFIG_A=y\nCONFIG_C=y\n"), 0o644))
	_, err = b.Build(t.Context(), Inputs{Initramfs: []byte("other")})
	require.NoError(t, err)
	require.Equal(t, "configured linked configured linked", runs(t, b))
}

func TestBuildRefusesDroppedSymbol(t *testing.T) {
	b, _ := fakeBuilder(t)
	b.Fragments = append(b.Fragments, "CONFIG_DROPPED=y\n")
	_, err := b.Build(t.Context(), Inputs{})
	require.ErrorIs(t, err, ErrGate)
	require.ErrorContains(t, err, "CONFIG_DROPPED: want y, got n")
}

func TestBuildSaysWhatMakeSaid(t *testing.T) {
	b, _ := fakeBuilder(t)
	_, err := b.Build(t.Context(), Inputs{})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(b.Cache, "linux-6.12-1-x", "object", "choba", "fail"), nil, 0o644))
	_, err = b.Build(t.Context(), Inputs{Initramfs: []byte("x")})
	require.ErrorContains(t, err, "make bzImage")
	require.ErrorContains(t, err, "some/file.c: broken")
}

// Two builds in one cache: the second waits, or ends when it is told to.
func TestBuildWaitsForLock(t *testing.T) {
	b, said := fakeBuilder(t)
	tr, err := b.tree(t.Context())
	require.NoError(t, err)
	unlock, err := tr.lock(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = b.Build(ctx, Inputs{})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Contains(t, said.String(), "another build is running")
	unlock()
	_, err = b.Build(t.Context(), Inputs{})
	require.NoError(t, err)
}

func TestFinishedKernelsArePruned(t *testing.T) {
	dir := t.TempDir()
	for i := range keptKernels + 3 {
		path := filepath.Join(dir, string(rune('a'+i)))
		require.NoError(t, keep(path, []byte("kernel")))
		past := time.Now().Add(time.Duration(i-100) * time.Minute)
		require.NoError(t, os.Chtimes(path, past, past))
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, keptKernels)
	require.Equal(t, "d", entries[0].Name(), "the oldest go first")
}

func TestMissingSource(t *testing.T) {
	b, _ := fakeBuilder(t)
	b.Source = "/nowhere.tar.xz"
	_, err := b.Build(t.Context(), Inputs{})
	require.ErrorContains(t, err, "unpacking /nowhere.tar.xz")
}
