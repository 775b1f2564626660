// Command measure prints figures of the built system: ./build.sh bench WHAT.
//
// It is not a test: it never fails on a slow day, and it says what the machine
// was doing. The rule that keeps it small: one subject is one file with one
// function in the table below.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sort"
	"strings"
)

// subjects are what can be measured.
var subjects = map[string]func(ctx context.Context, o options, out io.Writer) error{
	"boot":   boot,
	"update": update,
}

type options struct {
	image, probe string
	runs         int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.image, "image", "out", "folder of the built image")
	f.StringVar(&o.probe, "probe", "out/test", "folder of the image with the probe, for memory; skipped when it is not there")
	f.IntVar(&o.runs, "runs", 3, "how often")
	if len(args) == 0 || subjects[args[0]] == nil {
		return fmt.Errorf("what to measure? One of: %s", strings.Join(names(), ", "))
	}
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	fmt.Fprintf(out, "load before: %s\n", load())
	return subjects[args[0]](ctx, o, out)
}

func names() []string {
	var out []string
	for n := range subjects {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

// load is the machine's load average, since it is shared.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(b))[:3], " ")
}
