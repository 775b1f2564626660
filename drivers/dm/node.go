package dm

import (
	"fmt"
	"os"
	"time"
)

// WaitNode waits, for a second at the most, until devtmpfs shows a device's node: the kernel makes it on another thread.
// It polls: whoever opens a device has no events yet.
func WaitNode(path string) error {
	for range 200 {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("waiting for %s: it does not appear", path)
}
