package repository

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever a server or a stick shows instead of one file: no panic, and no release
// but the real one.
func FuzzRepository(f *testing.F) {
	v := newVendor(f)
	v.publish(product, 7)
	good := v.files()
	names, root := sortedKeys(good), testRoot(f)
	for i, name := range names {
		if len(good[name]) < 64<<10 {
			f.Add(uint8(i), good[name])
		}
		f.Add(uint8(i), []byte(`{"signatures":[],"signed":{"_type":"root","keys":{"a":null},"roles":{}}}`))
	}
	names = append(names, "metadata/2.root.json")
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		name := names[int(which)%len(names)]
		w := walk{ctx: t.Context(), from: good.with(files{name: data}, name), now: epoch}
		var offer Offer
		err := w.roots(root, func(memory) error { return nil })
		if err == nil {
			offer, err = w.offer(product, hardware)
		}
		if err == nil {
			m, err := readManifest(offer.Signed)
			require.NoError(t, err)
			require.EqualValues(t, 7, m.Version)
		}
	})
}

func FuzzMemory(f *testing.F) {
	good, err := memory{Roots: [][]byte{[]byte("r")}, Timestamp: []byte("t"), Seen: epoch}.encode()
	require.NoError(f, err)
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := decodeMemory(data); err == nil {
			again, err := m.encode()
			require.NoError(t, err)
			require.NotEmpty(t, again)
		}
	})
}

func FuzzRoot(f *testing.F) {
	f.Add(testRoot(f))
	f.Add([]byte(`{"signatures":[],"signed":{"_type":"root","keys":{"a":null},"roles":{"root":null}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := ReadRoot(data)
		if err == nil {
			require.GreaterOrEqual(t, info.Roles.Root.Threshold, 1)
		}
		_, _, _ = AddSignatures(data, ring("root1"))
	})
}
