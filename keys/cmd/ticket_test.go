package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/keys/dev"
	"github.com/choba-os/choba/keys/ticket"
	"github.com/choba-os/choba/keys/trust"
)

func TestTicket(t *testing.T) {
	dir := t.TempDir()
	k, err := dev.Ensure(dir)
	require.NoError(t, err)
	root, err := trust.Parse(k.Trust)
	require.NoError(t, err)
	file := filepath.Join(dir, "choba.ticket")
	now := time.Date(2026, 11, 22, 9, 0, 0, 500, time.UTC)
	register, nonce := ticket.Name([]byte("r")), ticket.Nonce([]byte("n"))
	var out bytes.Buffer
	require.NoError(t, tickets([]string{"make", "-register", register, "-nonce", nonce, file}, now, &out))
	open := func() (ticket.Ticket, []string, error) {
		signed, err := os.ReadFile(file)
		require.NoError(t, err)
		return ticket.Open(root, signed)
	}
	sign := func(n string) error {
		return tickets([]string{"sign", "-key", filepath.Join(dir, "service"+n+".key"), file}, now, &out)
	}
	_, _, err = open()
	require.Error(t, err)
	require.NoError(t, sign("1"))
	require.ErrorContains(t, sign("1"), "a second person")
	_, _, err = open()
	require.ErrorIs(t, err, trust.ErrThreshold)
	require.NoError(t, sign("3"))
	got, signers, err := open()
	require.NoError(t, err)
	require.Len(t, signers, 2)
	require.NoError(t, got.Check(ticket.FactoryReset, register, nonce, now.AddDate(0, 0, 2)))
	require.NotContains(t, out.String(), "PRIVATE")

	for _, args := range [][]string{nil, {"make"}, {"make", "-days", "31", file}, {"make", "-register", "X", file}, {"sign", file}, {"sign", "-key", file, file}} {
		require.Error(t, tickets(args, now, &out), "%v", args)
	}
}
