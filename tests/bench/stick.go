package bench

import (
	"fmt"
	"time"
)

// stickPort is the USB port for sticks, one of the USB 2 ports that nothing else uses.
const stickPort = "8"

// PlugStick puts a USB stick with the contents of a raw file in. What the register writes goes into that file.
func (m *Machine) PlugStick(path string) error {
	node := map[string]any{"driver": "raw", "node-name": "stick", "file": map[string]any{"driver": "file", "filename": path}}
	if err := m.QMP.Do("blockdev-add", node, nil); err != nil {
		return fmt.Errorf("plugging in the stick: %w", err)
	}
	device := map[string]any{"driver": "usb-storage", "id": "stick", "bus": "xhci.0", "port": stickPort, "drive": "stick", "removable": true}
	if err := m.QMP.Do("device_add", device, nil); err != nil {
		return fmt.Errorf("plugging in the stick: %w", err)
	}
	return nil
}

// UnplugStick pulls the stick out.
func (m *Machine) UnplugStick() error {
	if err := m.QMP.Do("device_del", map[string]any{"id": "stick"}, nil); err != nil {
		return fmt.Errorf("pulling the stick out: %w", err)
	}
	var err error
	for range 50 { // the node is in use until the device is gone
		if err = m.QMP.Do("blockdev-del", map[string]any{"node-name": "stick"}, nil); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("pulling the stick out: %w", err)
}
