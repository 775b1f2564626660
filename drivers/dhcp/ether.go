package dhcp

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Interface is one wired Ethernet interface.
type Interface struct {
	Name     string
	Hardware net.HardwareAddr
	Cable    bool // a cable with a running peer; known only while the interface is up
}

const (
	maxInterfaces = 8                      // no register has more; the first by name count
	poll          = 200 * time.Millisecond // how often a cable is looked for
	etherType     = "1"                    // ARPHRD_ETHER
)

// Wired gives the wired Ethernet interfaces that belong to a piece of hardware, in the order of their names. sys is
// where sysfs is mounted: "/sys". Virtual interfaces, bridges and wireless ones are not among them.
func Wired(sys string) ([]Interface, error) {
	entries, err := os.ReadDir(filepath.Join(sys, "class/net"))
	if err != nil {
		return nil, fmt.Errorf("looking for network interfaces: %w", err)
	}
	var out []Interface
	for _, e := range entries {
		dir := filepath.Join(sys, "class/net", e.Name())
		if !exists(filepath.Join(dir, "device")) || exists(filepath.Join(dir, "wireless")) || exists(filepath.Join(dir, "phy80211")) {
			continue
		}
		if word(dir, "type") != etherType || len(out) == maxInterfaces {
			continue
		}
		hw, err := net.ParseMAC(word(dir, "address"))
		if err != nil || len(hw) != 6 {
			continue // not yet or not any more an Ethernet interface
		}
		out = append(out, Interface{Name: e.Name(), Hardware: hw, Cable: word(dir, "carrier") == "1"})
	}
	return out, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// word is the content of a one-word file of sysfs, "" when it cannot be read: the kernel refuses `carrier` while an
// interface is down.
func word(dir, name string) string {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// WaitCable waits until iface, which must be up, has a cable with a running peer. ErrNoCable when ctx ended first.
func WaitCable(ctx context.Context, iface string) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		on, err := Cable(iface)
		if err != nil || on {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for a cable at %s: %w (%w)", iface, ErrNoCable, context.Cause(ctx))
		}
	}
}
