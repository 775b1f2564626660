package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/choba-os/choba/drivers/display/fonts/message"
	"github.com/choba-os/choba/drivers/display/fonts/paper"
	"github.com/choba-os/choba/drivers/display/fonts/screen"
	"github.com/choba-os/choba/drivers/display/text"
	"github.com/stretchr/testify/require"
)

// The committed fonts are what the generator makes of Debian's, byte for byte.
func TestCommittedFontsAreTheGenerators(t *testing.T) {
	if err := exec.Command("/usr/bin/python3", "-c", "import fontTools.subset").Run(); err != nil {
		t.Skip("python3-fonttools is not installed")
	}
	if _, err := os.Stat(filepath.Join(sources, jobs()[0].source)); err != nil {
		t.Skip("fonts-morisawa-bizud-gothic is not installed")
	}
	for _, j := range jobs() {
		if testing.Short() && j.out != "message/regular.ttf" {
			continue
		}
		got, err := j.make("..")
		require.NoError(t, err)
		want, err := os.ReadFile(filepath.Join("..", j.out))
		require.NoError(t, err)
		require.True(t, string(want) == string(got), "%s differs from what the generator makes", j.out)
	}
}

// Every character that goods are written with is there, in all four weights.
func TestFontsCoverTheShop(t *testing.T) {
	chars, err := shopChars("")
	require.NoError(t, err)
	require.Greater(t, len(chars), 7500)
	for _, fonts := range []func() (r, b *text.Font, err error){screen.Fonts, paper.Fonts} {
		r, b, err := fonts()
		require.NoError(t, err)
		for _, f := range []*text.Font{r, b} {
			require.Empty(t, f.Missing("髙﨑①㈱〜−‖—¥※〓…￥ｱｶﾞ々ゝ"))
			require.Less(t, len(f.Missing(string(chars))), 25, "only Latin letters that the typeface never had: %q", f.Missing(string(chars)))
		}
	}
}

func TestMessageFontCoversItsStrings(t *testing.T) {
	b, err := os.ReadFile("../message/strings.txt")
	require.NoError(t, err)
	f, err := message.Font()
	require.NoError(t, err)
	require.Empty(t, f.Missing(string(b)))
}
