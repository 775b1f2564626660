package vm

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/services/register/api"
	"github.com/choba-os/choba/services/table"
	"github.com/choba-os/choba/tests/bench"
	"github.com/choba-os/choba/tests/bench/wedge"
)

// inside boots the image with the burglar in it and returns its report.
func inside(t *testing.T) (*bench.Register, string) {
	r := register(t, func(cfg *bench.Config) {
		cfg.Disk, cfg.Vars = filepath.Join(test, "disk.img"), filepath.Join(test, "vars.fd")
	})
	on(t, r, `probe: end`, stop)
	wait(t, r, ready)
	return r, r.Text()
}

// As root inside the running register nothing that was not in the signed image
// can be executed, IPE cannot be switched off, no other kernel can be started,
// and the attempts are in the journal (A20, A21, A43, A80).
func TestFromInside(t *testing.T) {
	r, text := inside(t)
	require.NotContains(t, text, ": OPEN")
	held := regexp.MustCompile(`probe: (.*): held: `).FindAllStringSubmatch(text, -1)
	require.GreaterOrEqual(t, len(held), 18, "every attempt was reported")
	require.Regexp(t, `probe: ipe policies: choba_run\r?\n`, text)
	t.Run("processes", func(t *testing.T) { processes(t, text) })
	t.Run("files", func(t *testing.T) { files(t, text) })
	t.Run("mounts", func(t *testing.T) { mounts(t, text) })
	require.NotContains(t, text, "probe: listener", "nothing listens on the network")

	// A sale, and a stranger at the port, for the journal.
	wait(t, r, `screen: painted`)
	m := newMirror(t)
	require.NoError(t, r.Scan(cable))
	m.do(api.Act{Op: api.OpCode, Code: cable})
	m.shows(r, "inside-sale", goods)
	m.touch(r, "tender:cash")
	m.do(api.Act{Op: api.OpTender})
	m.shows(r, "inside-tender", below)
	m.touch(r, "exact")
	receipts(t, r, 1)
	stick := wedge.Stick()
	require.NoError(t, stick.Plug(r.USB(2)))
	time.Sleep(5 * time.Second)
	stick.Unplug()

	// A second boot: the burglar reads the journal that the first one filled.
	r.Cut()
	on(t, r, `probe: end`, stop)
	text = r.Text()
	require.Regexp(t, `probe: journal: whole, \d+ entries`, text)
	for _, kind := range []string{`exec\.refused .*memfd`, `exec\.refused .*probe-exec`, `sale\.completed `, `drawer\.open `, `print\.done `,
		`port\.attached .*1209:c0b1`, `port\.refused .*1209:bad2`, `boot\.ready `} {
		require.Regexp(t, `probe: journal: `+kind, text)
	}
}

var processLine = regexp.MustCompile(`probe: process exe=(\S+) args=(\S*) uid=(\d+) caps=(\S+) nnp=(\d) seccomp=(\d) rss=(\d+)kB files=(\d+)`)

// processes: what runs is what the table says, as whom it says, within its limits.
func processes(t *testing.T, text string) {
	want, err := table.Load("../../services/table/table.json")
	require.NoError(t, err)
	rows := map[string]table.Row{}
	for _, row := range want.Rows() {
		rows[row.Binary+" "+strings.Join(row.Args, ",")] = row
	}
	sum := 0
	seen := map[string]bool{}
	for _, m := range processLine.FindAllStringSubmatch(text, -1) {
		rss, err := strconv.Atoi(m[7])
		require.NoError(t, err)
		if m[1] == "/svc/probe" {
			continue
		}
		sum += rss
		if m[1] == "/init" {
			continue
		}
		row, ok := rows[m[1]+" "+m[2]]
		require.True(t, ok, "%s runs and is in no row of the table", m[0])
		seen[row.Name] = true
		files, err := strconv.Atoi(m[8])
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(int(row.UID)), m[3], row.Name)
		require.Equal(t, rights(row), m[4], "%s has other capabilities than its row", row.Name)
		require.Equal(t, "1", m[5], "%s may gain rights", row.Name)
		require.Equal(t, "2", m[6], "%s has no system call filter", row.Name)
		require.LessOrEqual(t, rss, row.MemoryMiB*1024, "%s holds more than its row allows", row.Name)
		require.LessOrEqual(t, files, row.Files, row.Name)
	}
	for _, row := range want.Rows() {
		require.True(t, seen[row.Name], "%s does not run", row.Name)
	}
	require.LessOrEqual(t, sum, 256*1024, "all services together")
	t.Logf("all together %d MiB resident", sum/1024)
}

// rights is the effective set of a row as /proc has it: empty for all but those that need one to do their work at all.
func rights(row table.Row) string {
	bits := map[string]uint64{"net_admin": 1 << unix.CAP_NET_ADMIN, "net_raw": 1 << unix.CAP_NET_RAW}
	var set uint64
	for _, r := range row.Rights {
		set |= bits[r]
	}
	return fmt.Sprintf("%016x", set)
}

// files: what a service has open is its own by the table: its data, its
// devices, what it may read, and nothing else with a name.
func files(t *testing.T, text string) {
	want, err := table.Load("../../services/table/table.json")
	require.NoError(t, err)
	lines := regexp.MustCompile(`probe: file exe=(\S+) path=(\S+)`).FindAllStringSubmatch(text, -1)
	require.NotEmpty(t, lines)
	for _, m := range lines {
		if strings.HasPrefix(m[1], "/svc/") && m[1] != "/svc/probe" {
			require.True(t, mayOpen(want, m[1], m[2]), "%s has %s open", m[1], m[2])
		}
	}
}

// mayOpen asks all rows of a binary: two services share /svc/devices. A device
// file may be one that ports has handed over.
func mayOpen(want table.T, binary, file string) bool {
	if file == "/dev/null" || strings.HasPrefix(file, "/memfd:") {
		return true
	}
	for _, row := range want.Rows() {
		for _, pattern := range row.Devices {
			if ok, err := filepath.Match(pattern, file); err == nil && ok && (row.Binary == binary || row.Name == "ports") {
				return true
			}
		}
		if row.Binary != binary {
			continue
		}
		for _, dir := range append([]string{row.Data}, row.Read...) {
			if dir != "" && (file == dir || strings.HasPrefix(file, dir+"/")) {
				return true
			}
		}
	}
	return false
}

// mounts: the system is read-only, and nothing that can be written makes devices
// or changes users. It carries no noexec: IPE refuses to execute from it, and
// unlike noexec it records that somebody tried.
func mounts(t *testing.T, text string) {
	lines := regexp.MustCompile(`probe: mount at=(\S+) kind=(\S+) options=(\S+)`).FindAllStringSubmatch(text, -1)
	require.NotEmpty(t, lines)
	for _, m := range lines {
		options := "," + m[3] + ","
		switch m[2] {
		case "erofs":
			require.Contains(t, options, ",ro,", m[1])
		case "ext4", "tmpfs":
			require.Contains(t, options, ",nosuid,", m[1])
			require.True(t, strings.Contains(options, ",nodev,") || m[1] == "/dev", m[1])
		case "securityfs", "debugfs", "tracefs", "efivarfs":
			t.Errorf("%s is mounted on %s", m[2], m[1])
		}
	}
}
