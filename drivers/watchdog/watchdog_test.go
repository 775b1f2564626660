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
