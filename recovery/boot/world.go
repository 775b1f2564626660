package boot

import (
	"time"

	"github.com/choba-os/choba/drivers/disk"
	"github.com/choba-os/choba/drivers/dm"
	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/keys/seal"
)

// Mount is one mount to make.
type Mount struct {
	Source, Target, Type string
	Flags                uintptr
}

// Partition is an open raw partition.
type Partition interface {
	frame.Device
	Close() error
}

// World is all of the machine that recovery touches: recovery/machine is the
// real one, the tests have another.
type World interface {
	Say(line string) // one line on the console

	Mount(Mount) error
	Unmount(target string) error
	ReadFile(path string) ([]byte, error)
	WriteFile(path string, data []byte) error

	FindDisk(names ...string) (disk.Disk, error)
	Open(path string, write bool) (Partition, error)
	OpenVerity(dm.Verity) (path string, err error)
	CloseVerity(name string) error

	Measure(seal.Event) error
	Choice() (seal.Digest, error) // PCR 13 as it is now
	Floor() (uint64, error)       // seal.ErrNoFloor when the TPM holds none

	// WatchdogFired is the identity of the timer that caused the last reset; "" = none
	// says so. Ask before arming.
	WatchdogFired() (identity string, err error)
	// ArmWatchdog starts the best timer there is: from now on the machine is reset when it
	// is not fed for this long.
	ArmWatchdog(timeout time.Duration) (identity string, err error)
	FeedWatchdog() error // once; no error when there is none
	GiveUpMACAdmin() error
	Now() time.Time // the wall clock, as wrong as it is

	// LoadKernel loads a signed boot image to jump into, with no initrd. The kernel in it
	// ignores the command line but leaves it in its log, where KernelLog finds it.
	LoadKernel(path, commandLine string) error
	UnloadKernel() error        // no error when none is loaded
	KernelLog() ([]byte, error) // what the kernel has printed since it started
	Jump() error                // into the loaded kernel; returns only with an error
	Restart() error             // of the machine; returns only with an error

	// SwitchRoot makes dir the root, moving the mounts of keep into it.
	SwitchRoot(dir string, keep ...string) error
	// Exec replaces this program; it returns only with an error.
	Exec(path string, env []string) error
}
