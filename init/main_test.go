package main

import (
	"bytes"
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/slot"
)

// Boot is a list of printable steps; a change of it is a change of this file.
func TestPlanIsAsPrinted(t *testing.T) {
	want, err := os.ReadFile("testdata/plan.golden")
	require.NoError(t, err)
	var got bytes.Buffer
	require.NoError(t, run(4711, []string{"-plan"}, nil, &got))
	require.Equal(t, string(want), got.String())
}

// The door of the TPM is closed before anything that is not init runs, and even when the boot failed before.
func TestDoorIsClosedBeforeServicesRun(t *testing.T) {
	want, err := os.ReadFile("testdata/plan.golden")
	require.NoError(t, err)
	text := string(want)
	door := strings.Index(text, "close the door")
	require.Contains(t, text, "always  close the door")
	require.Less(t, strings.Index(text, "unseal"), door)
	require.Less(t, door, strings.Index(text, "start the services"))
}

func TestOnlyAsFirstProcess(t *testing.T) {
	require.ErrorContains(t, run(4711, nil, nil, &bytes.Buffer{}), "first process")
}

func environ() []string {
	return []string{
		"CHOBA_SLOT=b", "CHOBA_ROOTHASH=" + strings.Repeat("ab", 32), "CHOBA_VERSION=17",
		"CHOBA_POLICY_SIG=" + base64.StdEncoding.EncodeToString(make([]byte, 64)), "CHOBA_BOOT_NOTES=no watchdog", "HOME=/",
	}
}

func TestFacts(t *testing.T) {
	f, err := parseFacts(environ())
	require.NoError(t, err)
	require.Equal(t, slot.B, f.slot)
	require.EqualValues(t, 17, f.version)
	require.Equal(t, "slot b version 17 root abababababab…; recovery notes: no watchdog", f.String())

	for i, bad := range []string{"CHOBA_SLOT=c", "CHOBA_ROOTHASH=" + strings.Repeat("AB", 32), "CHOBA_VERSION=-1", "CHOBA_POLICY_SIG=AAAA"} {
		e := environ()
		e[i] = bad
		_, err := parseFacts(e)
		require.Error(t, err, bad)
		e[i] = "X=" // absent
		_, err = parseFacts(e)
		require.Error(t, err, bad)
	}
}

// What an older recovery does not say is not the case; what is said wrong is refused.
func TestFactsOfTheStart(t *testing.T) {
	f, err := parseFacts(environ())
	require.NoError(t, err)
	require.False(t, f.jumped)
	require.Empty(t, f.open)
	require.Empty(t, f.events)

	digest := strings.Repeat("0f", 32)
	f, err = parseFacts(append(environ(), "CHOBA_JUMPED=1", "CHOBA_PCR4_EVENTS="+digest+","+digest, "CHOBA_OPEN=no-tpm,no-secure-boot"))
	require.NoError(t, err)
	require.True(t, f.jumped && f.without("no-tpm") && f.without("no-secure-boot"))
	require.Len(t, f.events, 2)
	require.Equal(t, digest, f.events[1].String())
	require.Contains(t, f.String(), "its own kernel; INSECURE: no-tpm, no-secure-boot")

	for _, bad := range []string{
		"CHOBA_JUMPED=yes", "CHOBA_PCR4_EVENTS=0f", "CHOBA_PCR4_EVENTS=" + digest + ",", "CHOBA_PCR4_EVENTS=" + strings.Repeat("zz", 32),
		"CHOBA_OPEN=no-lock", "CHOBA_OPEN=no-tpm,no-tpm", "CHOBA_PCR4_EVENTS=" + strings.TrimSuffix(strings.Repeat(digest+",", maxEvents+1), ","),
	} {
		_, err := parseFacts(append(environ(), bad))
		require.Error(t, err, bad)
	}
}

func FuzzFacts(f *testing.F) {
	f.Add(strings.Join(environ(), "\n"))
	f.Add("CHOBA_SLOT=a")
	f.Add(strings.Join(append(environ(), "CHOBA_JUMPED=1", "CHOBA_PCR4_EVENTS="+strings.Repeat("0f", 32), "CHOBA_OPEN=no-tpm"), "\n"))
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseFacts(strings.Split(text, "\n"))
		if err == nil {
			require.Contains(t, []slot.Name{slot.A, slot.B}, got.slot)
			require.Len(t, got.approval, 64)
			require.NotEmpty(t, got.String())
		}
	})
}
