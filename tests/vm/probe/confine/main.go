// Command confine stands in for /sbin/confine in the test image: it lets the
// probe through without confinement and hands every other service to the real
// one, so that what the probe sees is confined as in the product.
//
// It is in no product image. The rule that keeps it small: it decides by one
// name and changes nothing else.
package main

import (
	"fmt"
	"os"
	"syscall"
)

func main() {
	path := "/sbin/confine.real"
	if len(os.Args) == 2 && os.Args[1] == "probe" {
		path = "/svc/probe"
	}
	err := syscall.Exec(path, os.Args, os.Environ())
	fmt.Fprintf(os.Stderr, "confine: executing %s: %v\n", path, err)
	os.Exit(125)
}
