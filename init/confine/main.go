// Command confine is the step between init and a service: it reads the service's row from the table in the image,
// takes everything away that the row does not grant, and becomes the service.
//
//	confine NAME         become the service
//	confine -print NAME  print the policy that would hold
//
// It is not a launcher for people and knows no other configuration. The rule that keeps it small: policy decides,
// apply does, this file connects them.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/choba-os/choba/init/confine/apply"
	"github.com/choba-os/choba/init/confine/policy"
	"github.com/choba-os/choba/services/table"
)

// exitCode tells init that the service was never started.
const exitCode = 125

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "confine:", err)
		os.Exit(exitCode)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("confine", flag.ContinueOnError)
	show := flags.Bool("print", false, "print the policy instead of starting the service")
	path := flags.String("table", table.Path, "the service table (only with -print)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || (*path != table.Path && !*show) {
		return errors.New("want the name of one service")
	}
	t, err := table.Load(*path)
	if err != nil {
		return err
	}
	p, err := policy.Of(t, flags.Arg(0))
	if err != nil {
		return err
	}
	if *show {
		_, err := io.WriteString(out, p.String())
		return err
	}
	return apply.Exec(p)
}
