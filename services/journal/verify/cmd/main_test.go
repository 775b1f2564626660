package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/journal/journaltest"
)

func TestRun(t *testing.T) {
	j := journaltest.Start(t)
	c := j.Client("register")
	_, err := c.Append(context.Background(), api.Event{Kind: "sale.closed"})
	require.NoError(t, err)
	head, err := c.Head(context.Background())
	require.NoError(t, err)
	j.Stop()
	kept := filepath.Join(t.TempDir(), "head")
	require.NoError(t, os.WriteFile(kept, []byte(head), 0o600))
	newer := filepath.Join(t.TempDir(), "newer")
	require.NoError(t, os.WriteFile(newer, bytes.Replace([]byte(head), []byte("\n3\n"), []byte("\n9\n"), 1), 0o600))
	rubbish := filepath.Join(t.TempDir(), "rubbish")
	require.NoError(t, os.WriteFile(rubbish, []byte("x"), 0o600))
	for _, c := range []struct {
		name string
		args []string
		lang string
		want string // in the answer
		err  string // "" good, "damaged", or in the error
	}{
		{"good", []string{j.Folder()}, "", "Result: good", ""},
		{"good, by the environment", []string{j.Folder()}, "ja_JP.UTF-8", "結果: 正しい記録です", ""},
		{"good, asked for", []string{"-lang", "ja", j.Folder()}, "C", "結果: 正しい記録です", ""},
		{"beside its head", []string{"-head", kept, j.Folder()}, "", "Result: good", ""},
		{"beside a newer head", []string{"-head", newer, j.Folder()}, "", "shorter than the head", "damaged"},
		{"beside another key", []string{"-device", "x", j.Folder()}, "", "another device", "damaged"},
		{"an empty folder", []string{t.TempDir()}, "", "holds no log", "damaged"},
		{"no folder", []string{}, "", "", "want one folder"},
		{"two folders", []string{"a", "b"}, "", "", "want one folder"},
		{"no such folder", []string{"/nowhere"}, "", "", "reading the journal"},
		{"no such language", []string{"-lang", "fr", j.Folder()}, "", "", "-lang"},
		{"no such flag", []string{"-x"}, "", "", "not defined"},
		{"no such head", []string{"-head", "/nowhere", j.Folder()}, "", "", "nowhere"},
		{"no head", []string{"-head", rubbish, j.Folder()}, "", "", "not a signed note"},
	} {
		var out, usage bytes.Buffer
		err := run(c.args, func(name string) string { return map[string]string{"LANG": c.lang}[name] }, &out, &usage)
		switch c.err {
		case "":
			require.NoError(t, err, c.name)
		case "damaged":
			require.True(t, errors.Is(err, errDamaged), "%s: %v", c.name, err)
		default:
			require.ErrorContains(t, err, c.err, c.name)
			require.False(t, errors.Is(err, errDamaged), c.name)
		}
		require.Contains(t, out.String(), c.want, c.name)
	}
}
