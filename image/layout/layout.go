// Package layout is the map of a register's disk: which partitions there are, how
// large, under which names and identifiers, and what lies where inside the raw
// ones. Writers (image/disk) and readers (recovery, init, update) both take it
// from here.
//
// It reads and writes nothing. The rule that keeps it small: numbers and names
// with their reason, no code that could fail.
package layout

// Sizes in bytes.
const (
	KiB = 1 << 10
	MiB = 1 << 20

	Sector = 512  // the unit of GPT addresses
	Block  = 4096 // the unit of everything that we lay out ourselves

	DiskSize = 1024 * MiB // of a built disk image; a real disk may be larger, data grows to it
	Align    = MiB        // where partitions begin
	SlotSize = 96 * MiB
)

// Names of partitions (GPT names; PARTNAME in the kernel's uevents). Partitions
// are found by name, never by number.
const (
	ESP     = "choba-esp"
	State   = "choba-state"
	SlotA   = "choba-a"
	SlotB   = "choba-b"
	Factory = "choba-factory"
	Data    = "choba-data"
)

// Partition is one row of the partition table.
type Partition struct {
	Name string
	Type string // GPT type GUID, in its usual spelling
	GUID string // fixed, so that two builds are alike
	Size int64  // bytes; 0 = the rest of the disk (last row only)
}

// GUIDs. The type of our raw partitions is our own, so that no other system takes
// one for a file system and offers to repair it.
const (
	DiskGUID = "C0BA0000-0000-4000-8000-000000000000"
	typeESP  = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
	typeRaw  = "C0BA0001-0000-4000-8000-0000524157FF"
)

// Disk returns the partitions in their order on the disk.
func Disk() []Partition {
	return []Partition{
		{ESP, typeESP, "C0BA0000-0000-4000-8000-000000000001", 64 * MiB},
		{State, typeRaw, "C0BA0000-0000-4000-8000-000000000002", 4 * MiB},
		{SlotA, typeRaw, "C0BA0000-0000-4000-8000-000000000003", SlotSize},
		{SlotB, typeRaw, "C0BA0000-0000-4000-8000-000000000004", SlotSize},
		{Factory, typeRaw, "C0BA0000-0000-4000-8000-000000000005", SlotSize},
		{Data, typeRaw, "C0BA0000-0000-4000-8000-000000000006", 0},
	}
}

// BootFile is the only file that firmware is asked to start, with '/' for '\'.
const BootFile = "EFI/BOOT/BOOTX64.EFI"

// Inside the state partition. The two copies of a thing lie far enough apart that
// no erase block or track holds both.
const (
	RecordCopy1 int64 = 0        // slot record
	RecordCopy2 int64 = 64 * KiB //
	RecordSize        = 4 * KiB  // of one copy
	SealedCopy1 int64 = 1 * MiB  // sealed data key
	SealedCopy2 int64 = 1*MiB + 64*KiB
	SealedSize        = 4 * KiB // of one copy

	EscrowCopy1 int64 = 2 * MiB // the data secret, wrapped for the recovery key and for the vendor
	EscrowCopy2 int64 = 2*MiB + 64*KiB
	EscrowSize        = 8 * KiB // of one copy

	BootCopy1 int64 = 2*MiB + 512*KiB // how far an update of the boot image has come
	BootCopy2 int64 = 2*MiB + 576*KiB
	BootSize        = 4 * KiB // of one copy

	HistoryStart int64 = 3 * MiB // ring of records: what recovery and init did before the journal could be written
	HistorySize        = 256 * KiB
)

// Inside a slot or factory partition: EROFS at 0, the hash tree right behind it,
// and the slot head in the last HeadSize bytes, written last.
const (
	HeadSize    = 64 * KiB
	SlotContent = SlotSize - HeadSize // EROFS and hash tree together
)

// HeadOffset is where the slot head of a partition of this size begins.
func HeadOffset(partition int64) int64 { return partition - HeadSize }

// Inside the data partition: a header, then dm-crypt to the end.
const (
	DataHeader int64 = 0
	DataCrypt  int64 = 1 * MiB
)

// SlotPartition returns the partition of a slot ("a" or "b"), or "" for any other name.
func SlotPartition(slot string) string {
	switch slot {
	case "a":
		return SlotA
	case "b":
		return SlotB
	}
	return ""
}
