// Command screen shows the register on its screens and takes what fingers do to them.
//
// It is not the loop (package screen) and not the picture (package view). Rule that keeps it small: it only joins the parts that touch
// the machine: display cards, the port guard, the register's socket and init's life line.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "screen:", err)
		os.Exit(1)
	}
}
