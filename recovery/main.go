// Command recovery is the only program of the boot image. At every boot it
// chooses, checks and measures a slot, closes the doors behind it and switches
// to the slot's /init; when no slot is good it says why and repairs the register.
//
// It is not init: it starts no service and never opens the encryption of the data.
//
// The rule that keeps it small: the way is written in recovery/boot as printable
// plans, what a repair is in recovery/guide and recovery/act; here the machine, the
// console, the screens and the hands are put together.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/choba-os/choba/recovery/boot"
	"github.com/choba-os/choba/recovery/machine"
)

func main() {
	// As PID 1 it must never end: the kernel would panic, and the page with the
	// reasons would be gone. The watchdog is then the way out.
	if err := run(os.Getpid(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, boot.Prefix+"stop:", err)
		for os.Getpid() == 1 {
			time.Sleep(time.Hour)
		}
		os.Exit(1)
	}
}

func run(pid int, out io.Writer) error {
	if pid != 1 {
		return boot.Print(out)
	}
	return repair(context.Background(), boot.New(machine.New(out)).Run())
}
