// Command fault stands in for a program of a release that does not work: as the first program it hangs or ends (and
// the kernel panics), as a service it ends again and again after saying that it is ready, or never says so.
// /etc/choba/fault says which; without that file it hangs.
//
// It is only in releases that the tests make (image -fault), to see the register go back to the version before.
//
// The rule that keeps it small: it does one thing wrong at a time.
package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// life is the descriptor of a service's life line (services/link).
const life = 4

func main() {
	text, _ := os.ReadFile("/etc/choba/fault") // none: in the boot image of a release that hangs there
	kind := strings.TrimSpace(string(text))
	fmt.Println("fault:", kind)
	switch kind {
	case "panic":
		return
	case "loop":
		fmt.Fprintln(os.NewFile(life, "life"), "ready")
		time.Sleep(300 * time.Millisecond)
		return
	}
	for {
		time.Sleep(time.Hour)
	}
}
