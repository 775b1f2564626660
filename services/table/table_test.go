package table

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func product(t *testing.T) T {
	t.Helper()
	got, err := Load("table.json")
	require.NoError(t, err)
	return got
}

// The contract of the rooms, word for word: who exists, as whom, and who may call whom.
func TestProductTable(t *testing.T) {
	tab := product(t)
	var names []string
	uids := map[string]uint32{"journal": 901, "ports": 902, "scanner": 903, "printer": 904, "register": 905, "screen": 906, "update": 907, "stick": 908, "network": 909}
	for _, r := range tab.Rows() {
		names = append(names, r.Name)
		online := r.Name == "network" || r.Name == "update"
		require.Equal(t, uids[r.Name], r.UID, r.Name)
		require.Equal(t, !online && r.Name != "stick", r.Health, "selling waits neither for a network nor for updates: %s", r.Name)
		require.Equal(t, online, r.Network, r.Name)
		require.NotContains(t, r.Groups, "exec", "no service of the product may start programs")
		require.Equal(t, r.Name, tab.NameOf(r.UID))
		if r.Name != "network" {
			require.Empty(t, r.Rights, r.Name)
			require.Empty(t, r.Run, r.Name)
		}
	}
	require.Equal(t, []string{"journal", "ports", "network", "stick", "update", "scanner", "printer", "register", "screen"}, names)
	require.Equal(t, Init, tab.NameOf(0))
	require.Empty(t, tab.NameOf(1000))

	for caller, calls := range map[string][]string{
		Init:       {"journal"},
		"journal":  nil,
		"ports":    {"journal"},
		"network":  {"journal"},
		"stick":    {"journal", "ports"},
		"update":   {"journal", "network", "stick"},
		"scanner":  {"journal", "ports"},
		"printer":  {"journal", "ports"},
		"register": {"journal", "update", "scanner", "printer"},
		"screen":   {"journal", "ports", "register"},
		"":         nil,
		"stranger": nil,
	} {
		require.Equal(t, calls, tab.Calls(caller), caller)
	}
	require.Equal(t, []string{"boot.", "exec.", "recovery.", "service."}, tab.Kinds(Init))
	require.Equal(t, []string{"network."}, tab.Kinds("network"))
	require.Empty(t, tab.Kinds("screen"))
	require.False(t, tab.May("", "journal"))
	require.False(t, tab.May("screen", "nobody"))

	r, ok := tab.Row("ports")
	require.True(t, ok)
	require.Equal(t, "/run/choba/ports.sock", r.Socket())
	_, ok = tab.Row("nobody")
	require.False(t, ok)
}

// All services together may not be promised more than design section 11 grants them: 256 MiB are measured as resident;
// the limits, which are ceilings, stay at two and a half times that.
func TestProductLimits(t *testing.T) {
	sum := 0
	for _, r := range product(t).Rows() {
		sum += r.MemoryMiB
	}
	require.LessOrEqual(t, sum, 640)
}

func good() Row {
	return Row{Name: "one", Binary: "/svc/one", Args: []string{}, UID: 901, Callers: []string{Init}, Devices: []string{},
		Read: []string{}, MemoryMiB: 16, PIDs: 16, Files: 64}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		why    string
		change func(a, b *Row)
		says   string
	}{
		{"same name", func(a, b *Row) { b.Name = "one" }, "twice"},
		{"same uid", func(a, b *Row) { b.UID = 901 }, "already"},
		{"same data", func(a, b *Row) { a.Data, b.Data = "/data/x", "/data/x" }, "already"},
		{"same device", func(a, b *Row) { a.Devices, b.Devices = []string{"/dev/tty*"}, []string{"/dev/tty*"} }, "already"},
		{"two guards", func(a, b *Row) { a.USBGuard, b.USBGuard = true, true }, "usbGuard"},
		{"two writers of the idle slot", func(a, b *Row) { a.IdleSlot, b.IdleSlot = true, true }, "idleSlot"},
		{"name with capital", func(a, _ *Row) { a.Name = "One" }, "service name"},
		{"name with slash", func(a, _ *Row) { a.Name = "a/b" }, "service name"},
		{"name init", func(a, _ *Row) { a.Name = Init }, "service name"},
		{"uid of root", func(a, _ *Row) { a.UID = 0 }, "uid"},
		{"uid of people", func(a, _ *Row) { a.UID = 1000 }, "uid"},
		{"binary elsewhere", func(a, _ *Row) { a.Binary = "/data/one" }, "binary"},
		{"binary with ..", func(a, _ *Row) { a.Binary = "/svc/../one" }, "binary"},
		{"binary deeper", func(a, _ *Row) { a.Binary = "/svc/x/one" }, "binary"},
		{"data is all of it", func(a, _ *Row) { a.Data = "/data" }, "data"},
		{"data outside", func(a, _ *Row) { a.Data = "/run/x" }, "data"},
		{"caller unknown", func(a, _ *Row) { a.Callers = []string{"three"} }, "no row"},
		{"caller twice", func(a, _ *Row) { a.Callers = []string{"two", "two"} }, "twice"},
		{"calls itself", func(a, _ *Row) { a.Callers = []string{"one"} }, "never back"},
		{"called from above", func(_, b *Row) { b.Callers = []string{"one"} }, "never back"},
		{"cycle", func(a, b *Row) { a.Callers, b.Callers = []string{"two"}, []string{"one"} }, "never back"},
		{"kinds for a stranger", func(a, _ *Row) { a.Kinds = map[string][]string{"two": {"x."}} }, "no caller"},
		{"kind without stop", func(a, _ *Row) { a.Kinds = map[string][]string{Init: {"boot"}} }, "prefix"},
		{"kind with capital", func(a, _ *Row) { a.Kinds = map[string][]string{Init: {"Boot."}} }, "prefix"},
		{"kind with an empty word", func(a, _ *Row) { a.Kinds = map[string][]string{Init: {"boot..x."}} }, "prefix"},
		{"name that begins with a digit", func(a, _ *Row) { a.Name = "1a" }, "service name"},
		{"name that is long", func(a, _ *Row) { a.Name = strings.Repeat("a", 32) }, "service name"},
		{"name that is no ASCII", func(a, _ *Row) { a.Name = "帳場" }, "service name"},
		{"kind that is all", func(a, _ *Row) { a.Kinds = map[string][]string{Init: {""}} }, "prefix"},
		{"all devices", func(a, _ *Row) { a.Devices = []string{"/dev/*"} }, "pattern"},
		{"wide device folder", func(a, _ *Row) { a.Devices = []string{"/dev/*/card0"} }, "pattern"},
		{"no device", func(a, _ *Row) { a.Devices = []string{"/sys/class"} }, "pattern"},
		{"bad pattern", func(a, _ *Row) { a.Devices = []string{"/dev/tty["} }, "pattern"},
		{"reads everything", func(a, _ *Row) { a.Read = []string{"/"} }, "read path"},
		{"reads others' data", func(a, _ *Row) { a.Read = []string{"/data/two"} }, "read path"},
		{"reads the sockets' folder", func(a, _ *Row) { a.Read = []string{"/run/choba"} }, "read path"},
		{"reads a folder that nobody has", func(a, _ *Row) { a.Read = []string{"/run/two"} }, "read path"},
		{"reads below a folder of another", func(a, b *Row) { b.Run, a.Read = "/run/"+b.Name, []string{"/run/" + b.Name + "/x"} }, "read path"},
		{"another's run folder", func(a, _ *Row) { a.Run = "/run/two" }, "is not /run/one"},
		{"the sockets' folder as its own", func(a, _ *Row) { a.Name, a.Run = "choba", "/run/choba" }, "is not"},
		{"rights without the network", func(a, _ *Row) { a.Rights = []string{"net_raw"} }, "rights without"},
		{"right unknown", func(a, _ *Row) { a.Network, a.Rights = true, []string{"sys_admin"} }, "right"},
		{"reads processes", func(a, _ *Row) { a.Read = []string{"/proc"} }, "read path"},
		{"argument with space", func(a, _ *Row) { a.Args = []string{"a b"} }, "argument"},
		{"group unknown", func(a, _ *Row) { a.Groups = []string{"all"} }, "group"},
		{"no memory", func(a, _ *Row) { a.MemoryMiB = 0 }, "memoryMiB"},
		{"too many threads", func(a, _ *Row) { a.PIDs = 1 << 20 }, "pids"},
		{"no files", func(a, _ *Row) { a.Files = 0 }, "files"},
	} {
		t.Run(c.why, func(t *testing.T) {
			a, b := good(), good()
			b.Name, b.UID = "two", 902
			text, err := json.Marshal([]Row{a, b})
			require.NoError(t, err)
			_, err = Parse(text)
			require.NoError(t, err, "the pair is good before the change")

			c.change(&a, &b)
			text, err = json.Marshal([]Row{a, b})
			require.NoError(t, err)
			_, err = Parse(text)
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestRefusedText(t *testing.T) {
	text, err := os.ReadFile("table.json")
	require.NoError(t, err)
	whole := string(text)
	for why, bad := range map[string]string{
		"empty":         "",
		"no rows":       "[]",
		"no list":       "{}",
		"null":          "null",
		"torn":          whole[:len(whole)/2],
		"second list":   whole + "[]",
		"unknown field": strings.Replace(whole, `"health"`, `"root": true, "health"`, 1),
		"huge":          whole + strings.Repeat(" ", 1<<20),
	} {
		_, err := Parse([]byte(bad))
		require.Error(t, err, why)
	}
	_, err = Load("absent.json")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzParse(f *testing.F) {
	text, err := os.ReadFile("table.json")
	require.NoError(f, err)
	f.Add(text)
	f.Add([]byte(`[{"name":"a","binary":"/svc/a","uid":901,"memoryMiB":8,"pids":8,"files":16}]`))
	f.Add([]byte(`[{"name":"a"`))
	f.Fuzz(func(t *testing.T, text []byte) {
		tab, err := Parse(text)
		if err != nil {
			require.Empty(t, tab.Rows())
			return
		}
		// What was accepted reads the same when written out, and trust runs downhill only.
		again, err := json.Marshal(tab.Rows())
		require.NoError(t, err)
		same, err := Parse(again)
		require.NoError(t, err)
		require.Len(t, same.Rows(), len(tab.Rows()))
		at := map[string]int{}
		for i, r := range tab.Rows() {
			at[r.Name] = i
		}
		for i, r := range tab.Rows() {
			require.NotZero(t, r.UID)
			for _, callee := range tab.Calls(r.Name) {
				require.Less(t, at[callee], i)
			}
		}
	})
}
