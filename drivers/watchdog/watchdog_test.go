package watchdog

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// machine makes a sysfs with watchdogs, in the order given.
func machine(t *testing.T, identities map[string]string) string {
	root := t.TempDir()
	for name, id := range identities {
		dir := filepath.Join(root, "sys/class/watchdog", name)
		require.NoError(t, os.MkdirAll(dir, 0o755))
		if id != "" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "identity"), []byte(id+"\n"), 0o644))
		}
	}
	return root
}

func TestChoose(t *testing.T) {
	for name, row := range map[string]struct {
		dogs map[string]string
		want string
	}{
		"hardware over softdog":          {map[string]string{"watchdog0": softdog, "watchdog1": "iTCO_wdt"}, "watchdog1"},
		"the first of two":               {map[string]string{"watchdog2": softdog, "watchdog1": "iTCO_wdt", "watchdog0": "i6300ESB timer"}, "watchdog0"},
		"by number, not by name":         {map[string]string{"watchdog10": "x", "watchdog9": "y"}, "watchdog9"},
		"softdog when there is no other": {map[string]string{"watchdog0": softdog}, "watchdog0"},
		"not one without an identity":    {map[string]string{"watchdog0": "", "watchdog1": softdog}, "watchdog1"},
	} {
		c, err := Choose(machine(t, row.dogs))
		require.NoError(t, err, name)
		require.Equal(t, row.want, c.Name, name)
		require.Equal(t, row.dogs[c.Name] != softdog, c.Hardware(), name)
	}
	_, err := Choose(machine(t, nil))
	require.ErrorIs(t, err, ErrNone)
}

// TestHalf: iTCO acts at the second expiry only, and must not take longer for it.
func TestHalf(t *testing.T) {
	for _, row := range []struct {
		identity string
		timeout  time.Duration
		program  int
	}{
		{"iTCO_wdt", 20 * time.Second, 10}, {"iTCO_wdt", 31 * time.Second, 15}, {"iTCO_wdt", time.Second, 1},
		{"i6300ESB timer", 20 * time.Second, 20}, {"SP5100 TCO timer", 30 * time.Second, 30}, {softdog, 5 * time.Second, 5},
	} {
		c := Choice{Identity: row.identity}
		require.Equal(t, row.program, c.program(row.timeout), row.identity)
		effective := time.Duration(row.program) * c.expiries() * time.Second
		require.LessOrEqual(t, effective, max(row.timeout, 2*time.Second), row.identity)
	}
}

// TestFired: the last reset is a timer's doing only when its driver can know and says so.
func TestFired(t *testing.T) {
	for name, row := range map[string]struct{ identity, status, want string }{
		"it fired":                    {"i6300ESB timer", "32", "i6300ESB timer"},
		"it fired, and more":          {"SP5100 TCO timer", "33", "SP5100 TCO timer"},
		"it did not":                  {"i6300ESB timer", "0", ""},
		"too hot is not a hang":       {"i6300ESB timer", "1", ""},
		"iTCO's driver does not know": {"iTCO_wdt", "32", ""},
		"softdog cannot know":         {softdog, "32", ""},
		"a kernel without the file":   {"i6300ESB timer", "", ""},
	} {
		root := machine(t, map[string]string{"watchdog0": softdog, "watchdog1": row.identity})
		if row.status != "" {
			path := filepath.Join(root, "sys/class/watchdog/watchdog1/bootstatus")
			require.NoError(t, os.WriteFile(path, []byte(row.status+"\n"), 0o644))
		}
		got, err := Fired(root)
		require.NoError(t, err, name)
		require.Equal(t, row.want, got, name)
	}
	root := machine(t, map[string]string{"watchdog0": "i6300ESB timer"})
	require.NoError(t, os.WriteFile(filepath.Join(root, "sys/class/watchdog/watchdog0/bootstatus"), []byte("yes\n"), 0o644))
	_, err := Fired(root)
	require.ErrorContains(t, err, "asking watchdog i6300ESB timer for the last reset")
	got, err := Fired(machine(t, nil))
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestOpenRefuses(t *testing.T) {
	_, err := Open(machine(t, nil), time.Minute)
	require.ErrorIs(t, err, ErrNone)
	root := machine(t, map[string]string{"watchdog0": softdog})
	_, err = Open(root, time.Minute)
	require.ErrorContains(t, err, "opening watchdog "+root+"/dev/watchdog0 (Software Watchdog)")
	require.NoError(t, os.MkdirAll(filepath.Join(root, "dev"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "dev/watchdog0"), nil, 0o644))
	_, err = Open(root, time.Minute)
	require.ErrorContains(t, err, "setting watchdog Software Watchdog to 1m0s", "a plain file is no watchdog")
}
