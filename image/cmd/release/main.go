// Command release makes, signs, publishes and explains releases. `./build.sh release`
// lists its verbs; docs/playbooks say when to use which.
//
// It builds no programs and no image (image/cmd/image does) and decides no format
// (image/release and image/repository do). Without -keys it uses the development
// keys, which are INSECURE, and says so.
//
// The rule that keeps it small: a verb is a few calls into those packages and a
// sentence about what came of it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, time.Now()); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// run does what the first argument says. now is the time that new metadata is made
// at, unless -time says another.
func run(args []string, out io.Writer, now time.Time) error {
	if len(args) == 0 {
		args = []string{"help"}
	}
	for _, v := range verbs() {
		if v.name == args[0] {
			return v.run(&call{verb: v, args: args[1:], out: out, now: now})
		}
	}
	return fmt.Errorf("unknown verb %q: try release help", args[0])
}
