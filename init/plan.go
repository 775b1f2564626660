package main

import (
	"context"
	"fmt"
	"time"

	"github.com/choba-os/choba/init/plan"
	"github.com/choba-os/choba/init/system"
)

// dogTime is the watchdog's timeout while the services run. A needed service may be silent for supervise.Fresh; the
// rest is for the machine to catch its breath.
const dogTime = 30 * time.Second

// plan is everything that init does at boot, in order. testdata/plan.golden holds its print.
func (m *machine) plan() plan.Plan {
	step := func(need plan.Need, name string, do func() error) plan.Step {
		return plan.Step{Name: name, Need: need, Do: func(context.Context) error {
			if m.over.Load() {
				select {} // the boot is being ended: nothing new begins
			}
			m.doing.Store(name)
			return caught(do)
		}}
	}
	var p plan.Plan
	for _, mount := range system.Mounts() {
		p = append(p, step(plan.Needed, "mount "+mount.String(), mount.Do))
	}
	return append(p,
		step(plan.Needed, "switch on cgroup limits", func() error { return system.Cgroups(cgroupRoot) }),
		step(plan.Useful, "take over the watchdog", m.takeWatchdog),
		step(plan.Useful, "take over ctrl-alt-del", system.KeysAsSignals),
		step(plan.Needed, "read the boot facts from recovery", m.readFacts),
		step(plan.Needed, "find the state and data partitions", m.findDisk),
		step(plan.Useful, "see whether this release is on trial", m.readRecord),
		step(plan.Useful, "check the clock", m.checkClock),
		step(plan.Useful, "set the host name", func() error { return system.Hostname("choba") }),
		step(plan.Useful, "bring up loopback", system.Loopback),
		step(plan.Needed, "read the trust list and the service table", m.readTables),
		step(plan.Needed, "read what the running release says of itself", m.readRunning),
		step(plan.Useful, "let the data partition fill the disk", m.fillDisk),
		step(plan.Needed, "open the TPM", m.openTPM),
		step(plan.Needed, "unseal the data key, or make it at the first boot", m.unlock),
		step(plan.Useful, "raise the version floor to where it should be", m.raiseFloor),
		step(plan.Useful, "seal the data key to a boot image that is to be replaced", m.prepareBootUpdate),
		step(plan.Always, "close the door: extend PCR 13", m.closeDoor),
		step(plan.Useful, "give device nodes to their services", m.giveDevices),
		step(plan.Useful, "give the idle slot to the update service", m.giveIdleSlot),
		step(plan.Useful, "listen for refused executions", m.listenForRefusals),
		step(plan.Useful, "listen for the power button", m.listenForPower),
		step(plan.Needed, "give up all rights that are not needed any more", m.giveUpRights),
		step(plan.Needed, "leave word of this boot for the services", m.leaveWord),
		step(plan.Needed, "make the services' sockets and cgroups", m.prepareServices),
		step(plan.Needed, "start the services that keep no data", m.startDataless),
		step(plan.Needed, "open the data partition, or make it at the first boot", m.openData),
		step(plan.Needed, "make the services' data folders", m.makeFolders),
		step(plan.Needed, "start the other services", m.startAll),
	)
}

// caught makes an error of a panic: what breaks in a step is a reason to be written down, and not the kernel's end.
func caught(do func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return do()
}
