package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// faultPkg is the program that stands in for another one in a release with a fault.
const faultPkg = "./tests/vm/fault"

// faults are the ways in which a release of the tests does not work, each with the program that the fault stands in
// for. They are how the way back is proved.
var faults = map[string]string{
	"boot-hang": recoveryPkg,               // its own kernel comes up and then nothing
	"hang":      "./init",                  // nothing after recovery
	"panic":     "./init",                  // the kernel's end
	"loop":      "./services/register/cmd", // ready, and gone, again and again
	"sick":      "./services/register/cmd", // there, and never ready
	"blind":     "",                        // the screen gets no display
}

// checkFault refuses a word that is no fault.
func (c *config) checkFault() error {
	if c.fault == "" {
		return nil
	}
	if _, ok := faults[c.fault]; !ok {
		return fmt.Errorf("no fault %q, there are %s", c.fault, strings.Join(slices.Sorted(maps.Keys(faults)), ", "))
	}
	c.name += "+FAULT-" + c.fault
	return nil
}

// spoiled is the list of programs with the fault's in its place.
func (c config) spoiled(list []program) []program {
	for i, p := range list {
		if c.fault != "" && p.pkg == faults[c.fault] {
			list[i].pkg = faultPkg
		}
	}
	return list
}

// recovery is the package of the boot image's program.
func (c config) recovery() string {
	if c.fault != "" && faults[c.fault] == recoveryPkg {
		return faultPkg
	}
	return recoveryPkg
}

// faultItems are what the fault needs in the EROFS.
func (c config) faultItems() []item {
	if c.fault == "" || faults[c.fault] == "" || faults[c.fault] == recoveryPkg {
		return nil
	}
	return []item{plain("/etc/choba/fault", []byte(c.fault+"\n"))}
}

// blind takes the display from the screen's row.
func (c config) blind(table []byte) ([]byte, error) {
	const display = `"/dev/dri/card*"`
	if c.fault != "blind" {
		return table, nil
	}
	if bytes.Count(table, []byte(display)) != 1 {
		return nil, fmt.Errorf("%s: there is not one row with %s", tableFile, display)
	}
	return bytes.Replace(table, []byte(display), nil, 1), nil
}
