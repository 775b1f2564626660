// Command init is PID 1: it finishes what recovery began, opens the data, starts the services of the table, and keeps
// them running until the power goes.
//
//	/init           as PID 1
//	init -plan      print what it would do
//
// It is not a service manager for people: there is nothing to configure and nobody to talk to. The rule that keeps it
// small: boot is a printed plan (plan.go); everything that lasts has a package of its own.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/choba-os/choba/init/console"
)

func main() {
	if err := run(os.Getpid(), os.Args[1:], os.Environ(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, console.Prefix+err.Error())
		os.Exit(1)
	}
}

func run(pid int, args, environ []string, out io.Writer) error {
	if len(args) == 1 && args[0] == "-plan" {
		_, err := io.WriteString(out, newMachine(nil, console.New(io.Discard)).plan().String())
		return err
	}
	if pid != 1 {
		return errors.New("this is the first process of a register; to see what it does: init -plan")
	}
	m := newMachine(environ, console.New(out))
	return m.live()
}
