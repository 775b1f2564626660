package boot

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/keys/seal"
)

// TestSlotsOfAnotherRegister: slots whose whole contents were exchanged, by good releases that this register did not put
// there. The slot record says which release each slot has, so that nothing boots that was not tried here; and a record
// that comes with its slots can name nothing that the release keys, the product, the hardware and the floor do not allow.
func TestSlotsOfAnotherRegister(t *testing.T) {
	renamed := func(m *release.Manifest) { m.Name = "another-build" }
	for _, row := range []struct {
		name  string
		swap  func(w *world, v *vendor)
		boots string // the slot; empty: recovery stays
		says  string
	}{
		{"a newer release", func(w *world, v *vendor) { w.install(slot.A, v, 9, 2, nil) }, "b", ""},
		{"an older release", func(w *world, v *vendor) { w.install(slot.A, v, 6, 2, nil) }, "b", ""},
		{"a release from below the floor", func(w *world, v *vendor) { w.install(slot.A, v, 5, 2, nil) }, "b", "older than"},
		{"another build of the same version", func(w *world, v *vendor) { w.install(slot.A, v, 7, 2, renamed) }, "b", ""},
		{"a release for another product", func(w *world, v *vendor) {
			w.install(slot.A, v, 7, 2, func(m *release.Manifest) { m.Product = "kiosk" })
		}, "b", ""},
		{"a and b exchanged", func(w *world, v *vendor) {
			a, b := w.part(slot.A), w.part(slot.B)
			a.data, b.data = b.data, a.data
		}, "", ""},
		{"both slots", func(w *world, v *vendor) {
			w.install(slot.A, v, 9, 2, nil)
			w.install(slot.B, v, 8, 2, nil)
		}, "", ""},
		{"both slots, with their record", func(w *world, v *vendor) {
			_, a := w.install(slot.A, v, 9, 2, nil)
			_, b := w.install(slot.B, v, 8, 2, nil)
			w.store(slot.Record{A: good(9, a), B: good(8, b), Preferred: slot.A})
		}, "a", ""},
		{"both slots from below the floor, with their record", func(w *world, v *vendor) {
			_, a := w.install(slot.A, v, 5, 2, nil)
			_, b := w.install(slot.B, v, 4, 2, nil)
			w.store(slot.Record{A: good(5, a), B: good(4, b), Preferred: slot.A})
		}, "", "older than"},
		{"the release on trial, exchanged after its dry run", func(w *world, v *vendor) {
			_, b := w.install(slot.B, v, 8, 2, nil)
			r := w.record()
			r.B = slot.Slot{State: slot.Trial, Version: 8, Tries: slot.Tries, Manifest: b}
			w.store(r)
			w.install(slot.B, v, 8, 2, renamed)
		}, "a", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			w, v, _, _ := twoSlots(t)
			w.floor = 6
			row.swap(w, v)
			_, ended := run(w)
			lines := strings.Join(w.lines, "\n")
			require.Contains(t, lines, row.says)
			if row.boots == "" {
				require.NoError(t, ended)
				require.Equal(t, []seal.Event{seal.Recovery()}, w.measure)
				return
			}
			require.ErrorIs(t, ended, errReplaced)
			require.Contains(t, w.env, "CHOBA_SLOT="+row.boots, lines)
			require.Len(t, w.measure, 1)
		})
	}
}

// TestSwitchedOffAtTheMains: three fast power cycles moved others' healthy systems to the old slot (rauc #490). Here
// seven in a row do not, and the next good boot forgives all of them. A boot that is cut is not remembered as anybody's
// failure either.
func TestSwitchedOffAtTheMains(t *testing.T) {
	require.Greater(t, slot.UnreadyLimit-1, 3)
	w, v, ma, _ := twoSlots(t)
	for range 5 {
		for i := range slot.UnreadyLimit - 1 {
			_, ended := run(w)
			require.ErrorIs(t, ended, errReplaced)
			require.Equal(t, system(ma), w.measure)
			require.Equal(t, i+1, w.record().A.Unready)
			w = w.powerOn(v)
		}
		rec, err := slot.MarkReady(w.record(), slot.A, 7, w.record().A.Manifest)
		require.NoError(t, err)
		require.Zero(t, rec.A.Unready)
		w.store(rec)
	}
	require.Equal(t, slot.A, w.record().Preferred)
	require.Empty(t, w.history())
}

// TestBootLeavesTheESPAlone: others write a random seed or a counter to the ESP at every boot, and damage it (systemd
// #42979). Here a boot neither opens nor mounts it.
func TestBootLeavesTheESPAlone(t *testing.T) {
	w, _, _, _ := twoSlots(t)
	_, ended := run(w)
	require.ErrorIs(t, ended, errReplaced)
	for _, act := range w.done {
		require.NotContains(t, act, layout.ESP)
	}
	require.Empty(t, strings.Trim(string(w.parts["/dev/"+layout.ESP].data), "\x00"))
}
