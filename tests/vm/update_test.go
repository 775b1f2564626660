package vm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/keys/dev"
	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/screen/state"
	"github.com/choba-os/choba/tests/bench"
	"github.com/choba-os/choba/tests/bench/server"
)

// otherServer makes a boot image of its own: the address is written another way, the place is the same.
const otherServer = "-server=https://10.0.2.100:443/"

// vendor is a repository folder, as a vendor keeps it.
type vendor struct {
	t   *testing.T
	dir string
}

func newVendor(t *testing.T) *vendor {
	return &vendor{t, filepath.Join(short(t), "repository")}
}

// release runs a verb of the product's own tool on the repository.
func (v *vendor) release(args ...string) {
	v.t.Helper()
	cmd := exec.Command("go", append([]string{"run", "./image/cmd/release"}, args...)...)
	cmd.Dir = "../.."
	text, err := cmd.CombinedOutput()
	require.NoError(v.t, err, "%s", text)
}

// publish puts a bundle into the repository.
func (v *vendor) publish(bundle string, more ...string) {
	v.t.Helper()
	v.release(append([]string{"make", "-out", filepath.Dir(bundle), "-repo", v.dir}, more...)...)
}

// serve offers the repository on this machine's loopback, over HTTPS with the development certificate.
func (v *vendor) serve() *server.Server {
	v.t.Helper()
	keys, err := dev.DefaultDir()
	require.NoError(v.t, err)
	s, err := server.Start(short(v.t), v.dir, filepath.Join(keys, "tls.crt"), filepath.Join(keys, "tls.key"))
	require.NoError(v.t, err)
	v.t.Cleanup(func() { require.NoError(v.t, s.Close()) })
	return s
}

// stick is a stick that holds the repository folder.
func (v *vendor) stick() string {
	v.t.Helper()
	path := stickWith(v.t, nil)
	names, err := os.ReadDir(v.dir)
	require.NoError(v.t, err)
	for _, n := range names {
		tool(v.t, "mcopy", "-s", "-i", path, filepath.Join(v.dir, n.Name()), "::"+n.Name())
	}
	return path
}

// restartNow does what a manager does when the notice is there: asks, and says yes.
func restartNow(t *testing.T, r *bench.Register, m *mirror) {
	t.Helper()
	m.now.Update = &api.UpdateNotice{Phase: "ready", CanNow: true, CanPostpone: true, Text: "…", TextEn: "…"}
	m.touch(r, "update")
	m.ui.Panel = state.UpdatePanel
	time.Sleep(2 * time.Second)
	keep(t, r, "update-ask")
	m.touch(r, "update-now")
	m.now.Update, m.ui.Panel = nil, ""
}

// downloaded are the bytes of bundles that the server sent, by its own log.
func downloaded(log string) (total int64) {
	for _, line := range strings.Split(log, "\n") {
		if f := strings.Fields(line); strings.Contains(line, "/bundles/") && len(f) > 9 {
			var n int64
			for _, c := range f[9] {
				n = n*10 + int64(c-'0')
			}
			total += n
		}
	}
	return total
}

// offered is the update service's line when init has taken a version for the next start.
func offered(version int) string { return fmt.Sprintf(`"version":%d,.*update\.offered`, version) }

// Version 2 comes over HTTPS while the shop is open, version 3 with another kernel on a stick. The first runs in the
// same kernel; the second is jumped into, proves itself, brings the boot partition up to date, and is started by the
// firmware from then on. Each is kept only after its trial, the floor rises behind them, and a release from before the
// floor is not taken any more (A49, A51, B07).
func TestUpdateByNetworkThenStick(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	v.publish(bundle(t, 2, ""))
	s := v.serve()
	r := sold(t, func(c *bench.Config) { c.Server = s.Addr })
	on(t, r, ready)
	m := newMirror(t)

	from := time.Now()
	wait(t, r, offered(2))
	t.Logf("version 2 is in place %.0f s after ready; the server sent %d bytes of the bundle", time.Since(from).Seconds(), downloaded(s.Requests()))
	time.Sleep(5 * time.Second)
	keep(t, r, "update-ready")
	restartNow(t, r, m)
	wait(t, r, `switch to slot b version 2`)
	wait(t, r, `choba-init: committed: version 2 in slot b, floor 1`)
	keep(t, r, "update-done")

	v.publish(bundle(t, 3, "", otherServer))
	require.NoError(t, r.PlugStick(v.stick()))
	wait(t, r, offered(3))
	time.Sleep(5 * time.Second)
	restartNow(t, r, m)
	wait(t, r, `jump .*`)
	wait(t, r, `switch to slot a version 3`)
	wait(t, r, `choba-init: committed: version 3 in slot a, floor 2`)
	require.NoError(t, r.UnplugStick())
	r.Cut()

	// The next start comes by the old boot image once more, and replaces it; the one after it needs no jump, and the
	// new boot image opens the data.
	on(t, r, `the boot partition now has the boot image of version 3`)
	r.Cut()
	on(t, r, `switch to slot a version 3`)
	require.NotContains(t, r.Text(), "jump into")
	wait(t, r, `choba-init: committed: version 3`)
}

// A register that was off for a year, and whose firmware has lost all its boot variables meanwhile, starts and sells.
// What it finds first is out of date, and is refused with a word; as soon as the vendor has renewed it, version 2 comes
// on a stick and version 3 over HTTPS (A121).
func TestUpdateAfterAYear(t *testing.T) {
	t.Parallel()
	later := time.Now().AddDate(1, 1, 0).UTC()
	stamp := "-time=" + later.Add(-time.Hour).Format(time.RFC3339)
	v := newVendor(t)
	v.publish(bundle(t, 2, ""))
	s := v.serve()
	r := sold(t, func(c *bench.Config) { c.Server, c.Clock = s.Addr, later })
	tool(t, "cp", filepath.Join(out, "vars.fd"), filepath.Join(r.Dir(), "vars.fd"))
	on(t, r, ready)
	m := newMirror(t)
	wait(t, r, `update: .*update\.warning.*`)
	keep(t, r, "update-out-of-date")

	v.release("refresh", v.dir, stamp)
	require.NoError(t, r.PlugStick(v.stick()))
	wait(t, r, offered(2))
	require.NoError(t, r.UnplugStick())
	v.publish(bundle(t, 3, ""), stamp) // the server is asked a minute after the start, and then not for hours
	restartNow(t, r, m)
	wait(t, r, `choba-init: committed: version 2 in slot b`)
	wait(t, r, offered(3))
	time.Sleep(5 * time.Second)
	restartNow(t, r, m)
	wait(t, r, `choba-init: committed: version 3 in slot a, floor 2`)
	wait(t, r, `screen: painted`)
	require.NoError(t, r.Scan(tea))
	m.do(api.Act{Op: api.OpCode, Code: tea})
	m.shows(r, "update-sells-after-a-year", below)
}
