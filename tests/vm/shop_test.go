package vm

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/keys/trust"
	"github.com/choba-os/choba/recovery/face"
	"github.com/choba-os/choba/recovery/guide"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/tests/bench"
)

// shopVersion is what runs in the shop: both slots are committed with it, so it is the floor, and the factory release
// (version 1) is too old.
const shopVersion = 5

// versioned is a release as it would be with another number: same contents, signed anew.
func versioned(t *testing.T, m release.Manifest, version uint64) (release.Manifest, []byte) {
	t.Helper()
	k := keys(t)
	m.Version, m.Name = version, "0.5.0-shop"
	var err error
	m.PCR13Signature, err = seal.SignPolicy(k.PCR, seal.ApprovedPolicy(m.Verity.Root.String(), version))
	require.NoError(t, err)
	signed, err := release.Sign(m, k.Release[0], k.Release[1])
	require.NoError(t, err)
	return m, signed
}

// number gives the release in these partitions another version number.
func (d *flashed) number(version uint64, parts ...string) slot.Manifest {
	d.t.Helper()
	m, signed := versioned(d.t, d.manifest(), version)
	k := keys(d.t)
	for _, p := range parts {
		d.sign(p, m, k.Release[0], k.Release[1])
	}
	r, err := release.Check(trusted(d.t), signed, release.Register{Hardware: release.HardwarePC})
	require.NoError(d.t, err)
	return slot.Manifest(r.ID)
}

// trusted is the trust list of the image under test.
func trusted(t *testing.T) trust.Root {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(out, "keys/trust.txt"))
	require.NoError(t, err)
	root, err := trust.Parse(text)
	require.NoError(t, err)
	return root
}

// ruin wipes the heads of both slots: nothing boots any more.
func (d *flashed) ruin() {
	d.wipe(layout.SlotA)
	d.wipe(layout.SlotB)
}

// state is the disk's state partition.
func (d *flashed) state() section { return section{d, d.parts[layout.State].Start} }

// shopped is the folder of a register in the middle of its day.
var shopped struct {
	sync.Once
	dir    string
	mirror *mirror
}

// shop is a register that has worked in a shop: its data is made, one sale is open. Each call gives a copy of its own.
// shows checks that the sale is on the screen again, which only the register's own data can tell.
func shop(t *testing.T, change func(*bench.Config)) *bench.Register {
	t.Helper()
	shopped.Do(func() {
		d := copyDisk(t)
		id := d.number(shopVersion, layout.SlotA, layout.SlotB)
		good := slot.Slot{State: slot.Good, Version: shopVersion, Manifest: id}
		require.NoError(t, slot.Store(d.state(), slot.Record{A: good, B: good, Preferred: slot.A, Reason: "a test"}))
		require.NoError(t, d.file.Sync())
		dir, err := os.MkdirTemp("", "choba-shop")
		require.NoError(t, err)
		disk := filepath.Join(dir, "flashed.img") // stays: the machine's own disk is an overlay over it
		tool(t, "cp", "--sparse=always", d.path, disk)
		r, err := bench.NewRegister(bench.Config{Dir: filepath.Join(dir, "m"), Disk: disk, Vars: filepath.Join(out, "vars.fd"), Watchdog: true})
		require.NoError(t, err)
		on(t, r, committed)
		wait(t, r, `screen: painted`)
		require.NoError(t, r.Scan(tea))
		m := newMirror(t)
		m.do(api.Act{Op: api.OpCode, Code: tea})
		m.shows(r, "shop-open-sale", goods)
		r.Cut()
		shopped.dir = dir
	})
	require.NotEmpty(t, shopped.dir, "the shop's register did not come up")
	disk := filepath.Join(shopped.dir, "flashed.img")
	return again(t, filepath.Join(shopped.dir, "m"), func(c *bench.Config) {
		c.Disk = disk
		if change != nil {
			change(c)
		}
	})
}

// stillOpen waits until the register sells, and sees that the shop's open sale is on its screen.
func stillOpen(t *testing.T, r *bench.Register, name string) *mirror {
	t.Helper()
	wait(t, r, ready)
	wait(t, r, `screen: painted`)
	m := newMirror(t)
	m.do(api.Act{Op: api.OpCode, Code: tea})
	m.shows(r, name, goods)
	return m
}

// keyboard plugs a USB keyboard in.
func keyboard(c *bench.Config) { c.Extra = append(c.Extra, "-device", "usb-kbd,bus=xhci.0,port=9") }

// press types keys, each by its QEMU name: "1", "down", "ret".
func press(t *testing.T, r *bench.Register, names ...string) {
	t.Helper()
	for _, n := range names {
		for _, down := range []bool{true, false} {
			key := map[string]any{"type": "key", "data": map[string]any{"down": down, "key": map[string]any{"type": "qcode", "data": n}}}
			require.NoError(t, r.QMP.Do("input-send-event", map[string]any{"events": []any{key}}, nil))
			time.Sleep(60 * time.Millisecond)
		}
		time.Sleep(60 * time.Millisecond)
	}
}

// led is a guide like the one in the machine when a person asked for recovery, led through these touches: it says
// where the buttons are.
func led(touches ...string) *guide.Guide {
	g := guide.New(guide.Facts{Asked: true})
	for _, id := range touches {
		g.Touch(id)
	}
	return g
}

// tap touches the button with this name on the page that g shows.
func tap(t *testing.T, r *bench.Register, g *guide.Guide, id string) {
	t.Helper()
	theme, err := face.NewTheme(width, height)
	require.NoError(t, err)
	for _, h := range face.Draw(theme, g.Page(), face.State{}).Hits {
		if h.ID == id {
			c := h.Area.Min.Add(h.Area.Max).Div(2)
			require.NoError(t, r.Tap(c.X, c.Y))
			return
		}
	}
	t.Fatalf("no button %q on %q", id, g.Page().Title.English)
}

// limited is a context that ends when no wait should last any longer.
func limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), limit)
}

// wake touches the glass, beside all buttons, until recovery opens its menu: the panel is found some seconds after the
// first page is shown.
func wake(t *testing.T, r *bench.Register) {
	t.Helper()
	const menu = "choba-recovery: page: Recovery menu"
	for range 20 {
		if strings.Contains(r.Text(), menu) {
			return
		}
		require.NoError(t, r.Tap(300, 500))
		time.Sleep(time.Second)
	}
	wait(t, r, menu)
}

// waitFrom is wait for what is printed after the first bytes of the console.
func waitFrom(t *testing.T, r *bench.Register, from int, patterns ...string) string {
	t.Helper()
	ctx, cancel := limited()
	defer cancel()
	s, err := r.WaitFrom(ctx, from, patterns...)
	require.NoError(t, err)
	return s
}

// lines are those lines of a text that contain the word.
func lines(text, word string) (out []string) {
	for l := range strings.Lines(text) {
		if strings.Contains(l, word) {
			out = append(out, strings.TrimSpace(l))
		}
	}
	return out
}
