// Command probe is the burglar of the tests: a service that the test image
// starts as root, without confinement, to try what must not work, and to report
// what runs beside it.
//
// It is in no product image: only an image built with -with-probe has it, and
// that image says so in its name and in its table.
//
// The rule that keeps it small: one check is one function; it prints one line
// "probe: NAME: held …" or "probe: NAME: OPEN …" and never decides what is right
// for a shop.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	life := os.NewFile(4, "life")
	fmt.Fprintln(life, "ready")
	waitForScreen()
	for _, c := range checks {
		report(c.name, c.try())
	}
	for _, line := range append(system(), journal()...) {
		fmt.Println("probe: " + line)
	}
	fmt.Println("probe: end")
	for range time.Tick(2 * time.Second) {
		fmt.Fprintln(life, "alive")
	}
}

// report says whether the attempt was refused, and how.
func report(name string, err error) {
	if err == nil {
		fmt.Printf("probe: %s: OPEN\n", name)
		return
	}
	fmt.Printf("probe: %s: held: %v\n", name, err)
}

// waitForScreen waits until the last service of the table runs and has settled,
// so that the report shows the whole system.
func waitForScreen() {
	for range 300 {
		exes, _ := filepath.Glob("/proc/[0-9]*/exe")
		for _, e := range exes {
			if to, err := os.Readlink(e); err == nil && to == "/svc/screen" {
				time.Sleep(5 * time.Second)
				return
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// field returns the value of a "Name:\tvalue" line of a status file.
func field(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), name+":"); ok {
			return strings.Join(strings.Fields(v), " ")
		}
	}
	return ""
}

var errAbsent = errors.New("not there")
