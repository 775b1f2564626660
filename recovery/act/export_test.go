package act_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/recovery/act"
	"github.com/choba-os/choba/recovery/redeploy"
	"github.com/choba-os/choba/recovery/redeploy/redeploytest"
)

func TestExport(t *testing.T) {
	b := newBench(t)
	b.fill()
	b.usb.files["choba-xxxx"] = nil
	r := b.do(act.Request{Action: act.Export})
	require.True(t, r.OK, r)
	base := "choba-" + strings.ToLower(b.m.ID[:4]) + "-00"
	list := string(b.usb.files[base+".txt"])
	require.Contains(t, list, "choba export 1\nregister "+b.m.ID+"\n")
	require.Contains(t, list, "record 1 2026-11-22T09:00:00Z export ")
	data := b.usb.files[base+".000"]
	want := make([]byte, redeploytest.DataSize)
	_, err := b.Part(4).ReadAt(want, 0)
	require.NoError(t, err)
	require.Equal(t, want, append(bytes.Clone(data), make([]byte, redeploytest.DataSize-len(data))...), "zeros at the end are left out")
	require.Less(t, len(data), redeploytest.DataSize)
	state := b.usb.files[base+".state"]
	require.Equal(t, b.Disk.Data[:layout.MiB*2], state[:layout.MiB*2])
	require.True(t, bytes.HasPrefix(b.usb.files[base+".age"], []byte("age-encryption.org/v1")))
	require.Equal(t, 1, b.usb.closed)

	// Again: nothing of before is replaced. The small one has no data.
	r = b.do(act.Request{Action: act.Export, Letter: true})
	require.True(t, r.OK, r)
	require.Contains(t, b.usb.files, strings.Replace(base, "-00", "-01", 1)+".age")
	require.NotContains(t, b.usb.files, strings.Replace(base, "-00", "-01", 1)+".000")
}

// TestNoLetter: a register without a key in escrow has nothing to ask the vendor with, and says so; an export of its data
// goes without.
func TestNoLetter(t *testing.T) {
	b := newBench(t)
	r := b.do(act.Request{Action: act.Export, Letter: true})
	require.False(t, r.OK)
	require.Equal(t, "No key was put into escrow here.", r.Lines[0].Words.English)
	require.Empty(t, b.usb.files)
	require.True(t, b.do(act.Request{Action: act.Export}).OK)
	for name := range b.usb.files {
		require.NotContains(t, name, ".age")
	}
}

func TestExportRefuses(t *testing.T) {
	b := newBench(t)
	b.fill()
	b.usb.room = 100 << 10
	r := b.do(act.Request{Action: act.Export})
	require.False(t, r.OK)
	require.Contains(t, r.Lines[0].Words.English, "too little room")
	require.Empty(t, b.usb.files, "nothing half is left")
	b.usb.files = nil
	r = b.do(act.Request{Action: act.Export})
	require.Contains(t, r.Lines[0].Words.Japanese, "差さっていません")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	b.usb.files = map[string][]byte{}
	whole := b.m.Data
	b.m.Data = redeploy.Part{}
	r = b.do(act.Request{Action: act.Export})
	require.Contains(t, r.Lines[0].Words.English, "partition of it was not found", "without the data it is no export")
	b.m.Data = whole
	require.Contains(t, act.New(b.m, nil).Do(ctx, act.Request{Action: act.Export}).Lines[0].Words.English, "stopped")
}
