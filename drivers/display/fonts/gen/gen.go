package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/text/encoding/japanese"
)

// sources is where Debian puts BIZ UD Gothic.
const sources = "/usr/share/fonts/truetype/bizud-gothic"

// job is one font to make: out is relative to the fonts folder.
type job struct {
	source, out string
	chars       func(dir string) ([]rune, error)
}

func jobs() []job {
	return []job{
		{"BIZUDPGothic-Regular.ttf", "screen/regular.ttf", shopChars},
		{"BIZUDPGothic-Bold.ttf", "screen/bold.ttf", shopChars},
		{"BIZUDGothic-Regular.ttf", "paper/regular.ttf", shopChars},
		{"BIZUDGothic-Bold.ttf", "paper/bold.ttf", shopChars},
		{"BIZUDPGothic-Regular.ttf", "message/regular.ttf", messageChars},
		{"BIZUDPGothic-Bold.ttf", "message/bold.ttf", messageChars},
	}
}

func run(dir string, out io.Writer) error {
	for _, j := range jobs() {
		b, err := j.make(dir)
		if err != nil {
			return fmt.Errorf("making %s: %w", j.out, err)
		}
		if err := os.WriteFile(filepath.Join(dir, j.out), b, 0o644); err != nil {
			return fmt.Errorf("writing %s: %w", j.out, err)
		}
		fmt.Fprintf(out, "%s: %d bytes\n", j.out, len(b))
	}
	return nil
}

// make cuts one font and returns its bytes. Hints and layout tables go: nothing here reads them.
func (j job) make(dir string) ([]byte, error) {
	chars, err := j.chars(dir)
	if err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp("", "choba-font-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	list, ttf := filepath.Join(tmp, "chars"), filepath.Join(tmp, "font.ttf")
	if err := os.WriteFile(list, hex(chars), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command("/usr/bin/python3", "-m", "fontTools.subset", filepath.Join(sources, j.source),
		"--unicodes-file="+list, "--output-file="+ttf, "--no-hinting", "--layout-features=", "--name-IDs=0,1,2,3,4,5,6,13,14",
		"--notdef-outline", "--no-recalc-timestamp", "--drop-tables+=GSUB,GPOS,GDEF,BASE,vhea,vmtx,DSIG,meta")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("calling fonttools: %w: %s", err, text)
	}
	return os.ReadFile(ttf)
}

func hex(chars []rune) []byte {
	var b strings.Builder
	for _, r := range chars {
		fmt.Fprintf(&b, "%04X\n", r)
	}
	return []byte(b.String())
}

// shopChars is what goods, names and addresses in Japan are written with: Latin, JIS X 0208 and the vendors' extensions of it
// (Windows code page 932), and the characters that differ between the two tables (〜 − ‖ — ¥).
func shopChars(string) ([]rune, error) {
	set := map[rune]bool{}
	between(set, 0x20, 0x7e)
	between(set, 0xa0, 0x17f)
	dec := japanese.ShiftJIS.NewDecoder()
	for lead := 0x81; lead <= 0xfc; lead++ {
		for trail := 0x40; trail <= 0xfc; trail++ {
			add(set, dec.Bytes, []byte{byte(lead), byte(trail)})
		}
	}
	for b := 0xa1; b <= 0xdf; b++ {
		add(set, dec.Bytes, []byte{byte(b)})
	}
	for _, r := range "\u301c\u2212\u2016\u2014\u00a5\u203e\u20ac\u2022\u2013\u2018\u2019\u201c\u201d\u2026\u00d7\u00f7" {
		set[r] = true
	}
	return sorted(set), nil
}

// add puts the character that two bytes stand for into the set. Private use (0xF0…0xF9) stands for nothing printable.
func add(set map[rune]bool, decode func([]byte) ([]byte, error), code []byte) {
	b, err := decode(code)
	if err != nil {
		return
	}
	if rs := []rune(string(b)); len(rs) == 1 && rs[0] != 0xfffd && rs[0] > 0x7e && (rs[0] < 0xe000 || rs[0] > 0xf8ff) {
		set[rs[0]] = true
	}
}

// messageChars is what the few sentences of message/strings.txt need, with Latin, kana and punctuation whole.
func messageChars(dir string) ([]rune, error) {
	b, err := os.ReadFile(filepath.Join(dir, "message/strings.txt"))
	if err != nil {
		return nil, err
	}
	set := map[rune]bool{}
	between(set, 0x20, 0x7e)
	between(set, 0x3001, 0x3003)
	between(set, 0x3008, 0x3015)
	between(set, 0x3041, 0x3093)
	between(set, 0x30a1, 0x30fe)
	between(set, 0xff01, 0xff5e)
	for _, r := range "\u00a5\u00b7\u00d7\u2014\u2015\u2018\u2019\u201c\u201d\u2026\u2190\u2191\u2192\u2193\u203b\u2212\u301c\u3013々" + string(b) {
		if r >= 0x20 {
			set[r] = true
		}
	}
	return sorted(set), nil
}

func between(set map[rune]bool, first, last rune) {
	for r := first; r <= last; r++ {
		set[r] = true
	}
}

func sorted(set map[rune]bool) []rune {
	out := make([]rune, 0, len(set))
	for r := range set {
		out = append(out, r)
	}
	slices.Sort(out)
	return out
}
