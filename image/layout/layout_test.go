package layout

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Names and identifiers are told apart, sizes are whole, only the last takes the rest.
func TestDisk(t *testing.T) {
	names, guids := map[string]bool{}, map[string]bool{DiskGUID: true}
	var sum int64 = Align
	for i, p := range Disk() {
		require.False(t, names[p.Name] || guids[p.GUID], p.Name)
		names[p.Name], guids[p.GUID] = true, true
		require.Zero(t, p.Size%Align, p.Name)
		require.Equal(t, i == len(Disk())-1, p.Size == 0, p.Name)
		require.LessOrEqual(t, len(p.Name), 36)
		sum += p.Size
	}
	require.Greater(t, int64(DiskSize)-sum, int64(512*MiB), "room for data")
}

// Nothing in the state partition overlaps, and all of it fits.
func TestState(t *testing.T) {
	type area struct{ at, size int64 }
	areas := []area{
		{RecordCopy1, RecordSize}, {RecordCopy2, RecordSize}, {SealedCopy1, SealedSize}, {SealedCopy2, SealedSize},
		{EscrowCopy1, EscrowSize}, {EscrowCopy2, EscrowSize}, {BootCopy1, BootSize}, {BootCopy2, BootSize}, {HistoryStart, HistorySize},
	}
	for i, a := range areas {
		require.Zero(t, a.at%Block)
		require.LessOrEqual(t, a.at+a.size, Disk()[1].Size)
		for _, b := range areas[i+1:] {
			require.True(t, a.at+a.size <= b.at || b.at+b.size <= a.at)
		}
	}
	require.Equal(t, State, Disk()[1].Name)
}

func TestSlots(t *testing.T) {
	require.Equal(t, int64(SlotSize-HeadSize), HeadOffset(SlotSize))
	require.Equal(t, SlotA, SlotPartition("a"))
	require.Equal(t, SlotB, SlotPartition("b"))
	require.Empty(t, SlotPartition("c"))
	require.Empty(t, SlotPartition(""))
}
