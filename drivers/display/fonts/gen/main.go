// Command gen cuts the typefaces that ship down to the characters a Japanese shop needs.
//
//	go run ./drivers/display/fonts/gen
//
// It reads Debian's fonts-morisawa-bizud-gothic and calls fonttools (Debian's python3-fonttools) for the cutting; the results are
// committed, so that nothing but a change of typeface or of message/strings.txt needs it. It is no font tool of its own and is never
// in the image. Rule that keeps it small: a font here is a source file, a set of characters and a place; the same inputs give the
// same bytes (gen_test.go).
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run("drivers/display/fonts", os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}
