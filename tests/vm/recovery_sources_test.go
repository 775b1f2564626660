package vm

import (
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/tests/bench"
)

// bundleAs is the built bundle under another version number, further changed by change and signed anew, in a folder of
// its own.
func bundleAs(t *testing.T, version uint64, change func(*release.Manifest)) string {
	t.Helper()
	built := filepath.Join(out, "release.choba")
	r, _ := opened(t, built)
	m := r.Manifest
	if change != nil {
		change(&m)
	}
	m, signed := versioned(t, m, version)
	f, err := os.Open(built)
	require.NoError(t, err)
	defer f.Close()
	from, at := release.Sources{}, int64(layout.HeadSize)
	for _, p := range m.Parts() {
		from[p.Part] = io.NewSectionReader(f, at, p.Size)
		at += p.Size
	}
	path := filepath.Join(short(t), "release.choba")
	to, err := os.Create(path)
	require.NoError(t, err)
	defer to.Close()
	require.NoError(t, release.WriteBundle(to, m, signed, from))
	return path
}

// stickWith is a FAT32 stick with these files, by their names on it, as a raw file.
func stickWith(t *testing.T, files map[string]string) string {
	t.Helper()
	path := filepath.Join(short(t), "stick.img")
	tool(t, "truncate", "-s", "512M", path)
	tool(t, "/sbin/mkfs.vfat", "-F", "32", path)
	for name, from := range files {
		tool(t, "mcopy", "-i", path, from, "::"+name)
	}
	return path
}

// ring makes the chain of the root folder lead back to its begin, in both FATs.
func ring(t *testing.T, stick string) {
	t.Helper()
	f, err := os.OpenFile(stick, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	head := make([]byte, 512)
	_, err = f.ReadAt(head, 0)
	require.NoError(t, err)
	le := binary.LittleEndian
	reserved, size, root := int64(le.Uint16(head[14:])), int64(le.Uint32(head[36:])), le.Uint32(head[44:])
	for fat := range int64(2) {
		_, err = f.WriteAt(le.AppendUint32(nil, root), (reserved+fat*size)*512+int64(root)*4)
		require.NoError(t, err)
	}
}

// Neither slot nor the factory release can serve. Sticks that are no stick, or go round in circles, or carry what this
// register must not take, are refused in words, and the next source has its turn; the vendor's repository on a stick
// brings the register back, and its factory release is as new as the slot then (A51).
func TestRecoveryFromAStick(t *testing.T) {
	t.Parallel()
	r := shop(t, keyboard)
	alter(t, r, (*flashed).ruin)
	on(t, r, `choba-recovery: page: This register cannot start`)
	time.Sleep(2 * time.Second) // for the keyboard to be found
	press(t, r, "1")
	wait(t, r, `redeploy: factory.*older than.*`)
	wait(t, r, `redeploy: network.*`)
	wait(t, r, `page: It could not be repaired`)
	keep(t, r, "recovery-nothing-in-reach")

	noise := filepath.Join(short(t), "noise.img")
	tool(t, "truncate", "-s", "64M", noise)
	tool(t, "/sbin/mkfs.ext4", "-q", noise)
	circle := stickWith(t, nil)
	ring(t, circle)
	altered := bundleAs(t, 9, nil)
	flipByte(t, altered, layout.HeadSize+30<<20)
	bad := stickWith(t, map[string]string{
		"altered.choba": altered, "old.choba": filepath.Join(out, "release.choba"),
		"toaster.choba": bundleAs(t, 8, func(m *release.Manifest) { m.Product = "toaster-INSECURE" }),
	})
	for _, c := range []struct {
		name, stick string
		why         []string
	}{
		{"no FAT", noise, []string{`not a FAT file system`}},
		{"a FAT in circles", circle, []string{`the file system is damaged`}},
		{"releases that are not for here", bad, []string{`altered\.choba: .*does not match`, `old\.choba: .*floor`, `toaster\.choba: .*product`}},
	} {
		from := len(r.Text())
		require.NoError(t, r.PlugStick(c.stick))
		time.Sleep(2 * time.Second)
		press(t, r, "1")
		said := waitFrom(t, r, from, `choba-recovery: redeploy: stick.*`)
		t.Logf("%s: %s", c.name, said)
		for _, w := range c.why {
			require.Regexp(t, w, said)
		}
		waitFrom(t, r, from, `redeploy: network.*`)
		waitFrom(t, r, from, `page: It could not be repaired`)
		time.Sleep(time.Second)
		keep(t, r, "recovery-refuses")
		require.NoError(t, r.UnplugStick())
	}

	v := newVendor(t)
	v.publish(bundleAs(t, shopVersion, nil))
	require.NoError(t, r.PlugStick(v.stick()))
	time.Sleep(2 * time.Second)
	from := time.Now()
	press(t, r, "1")
	wait(t, r, repaired)
	t.Logf("redeployed from a stick in %.0f s", time.Since(from).Seconds())
	require.NoError(t, r.UnplugStick())
	press(t, r, "1")
	wait(t, r, `switch to slot . version 5`)
	stillOpen(t, r, "recovery-stick-sells-again")
	r.Cut()
	d := open(t, pulled(t, r))
	signed := d.head(layout.Factory)
	text, _, err := trusted(t).OpenRelease(signed)
	require.NoError(t, err)
	m, err := release.Parse(text)
	require.NoError(t, err)
	require.EqualValues(t, shopVersion, m.Version, "the factory release was renewed")
}

func flipByte(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	require.NoError(t, err)
	b[0] ^= 1
	_, err = f.WriteAt(b, at)
	require.NoError(t, err)
}

// The same over the network: a touch stops the countdown and opens the menu, the first tile repairs, and the release
// comes from the vendor's web server, with an address from DHCP (A51).
func TestRecoveryFromTheNetwork(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	v.publish(bundleAs(t, shopVersion, nil))
	s := v.serve()
	r := shop(t, func(c *bench.Config) { c.Server = s.Addr })
	alter(t, r, (*flashed).ruin)
	on(t, r, `choba-recovery: page: This register cannot start`)
	wake(t, r)
	time.Sleep(time.Second)
	keep(t, r, "recovery-menu")
	from := time.Now()
	tap(t, r, led(), "auto")
	wait(t, r, repaired)
	t.Logf("redeployed from the network in %.0f s", time.Since(from).Seconds())
	require.Contains(t, s.Requests(), "/latest/")
	keep(t, r, "recovery-network-repaired")
	wait(t, r, `switch to slot . version 5`)
	wait(t, r, ready)
}
