package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/drivers/display"
	"github.com/choba-os/choba/drivers/dm"
	"github.com/choba-os/choba/drivers/watchdog"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/image/source"
	"github.com/choba-os/choba/image/verity"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/keys/ticket"
	"github.com/choba-os/choba/recovery/act"
	"github.com/choba-os/choba/recovery/attend"
	"github.com/choba-os/choba/recovery/boot"
	"github.com/choba-os/choba/recovery/explain"
	"github.com/choba-os/choba/recovery/guide"
	"github.com/choba-os/choba/recovery/hands"
	"github.com/choba-os/choba/recovery/redeploy"
	"github.com/choba-os/choba/recovery/stick"
	"github.com/choba-os/choba/recovery/wire"
)

// updateFile is the server that the image was built for.
const updateFile = "/etc/choba/update.json"

// repair is what recovery does when no slot was booted. It ends only by a restart.
func repair(ctx context.Context, s boot.Stopped) error {
	for _, l := range explain.Page(s.Troubles) {
		s.World.Say(boot.Prefix + "stop: " + l.Text)
	}
	say := func(text string) { s.World.Say(boot.Prefix + strings.ReplaceAll(text, "\n", "; ")) }
	shown := &screens{say: say}
	m := machineOf(s, shown, say)
	quiet := act.New(m, nil)
	if act.Unfinished(m.Register.State) {
		say("a factory reset was cut off; it is finished now")
		if err := quiet.Resume(); err != nil {
			say("note: " + err.Error())
		} else {
			return s.World.Restart()
		}
	}
	touches := make(chan hands.Event, 16)
	go hands.Watch(ctx, "/", touches)
	return attend.Run(ctx, attend.Config{
		Guide:   guide.New(guide.Facts{Troubles: s.Troubles, Asked: s.Asked, Register: m.ID, Nonce: sync.OnceValue(quiet.Nonce)}),
		Screens: shown.light, Hands: touches, Feed: s.World.FeedWatchdog, Say: say,
		Do: act.New(m, nil).DoTelling,
		Restart: func() error {
			return errors.Join(quiet.Forgive(), s.World.Restart())
		},
	})
}

// machineOf gives the actions what is there of the machine.
func machineOf(s boot.Stopped, shown *screens, say func(string)) act.Machine {
	open := func(name string, write bool) redeploy.Part {
		p, ok := s.Disk.Parts[name]
		if !ok {
			return redeploy.Part{}
		}
		d, err := s.World.Open(p.Path, write)
		if err != nil {
			say("note: " + err.Error())
			return redeploy.Part{}
		}
		if f, ok := d.(*os.File); ok {
			return redeploy.Part{Device: cold{f}, Size: p.Size}
		}
		return redeploy.Part{Device: d, Size: p.Size}
	}
	m := act.Machine{
		Register: redeploy.Register{
			Root: s.Root, Hardware: release.HardwarePC, Floor: s.Floor, State: act.Absent{}, Factory: open(layout.Factory, true),
			Slots: map[slot.Name]redeploy.Part{slot.A: open(layout.SlotA, true), slot.B: open(layout.SlotB, true)},
			Prove: func(n slot.Name, r release.Release) error { return prove(s, n, r) },
		},
		Data: open(layout.Data, true), Sticks: stick.Finder{Root: "/"}, Net: network(s, say),
		Watchdog: func() (string, error) { c, err := watchdog.Choose("/"); return c.Identity, err },
		USB:      usbNames, Screens: shown.names, Now: s.World.Now, Say: say,
	}
	if !slices.Contains(s.Open, boot.NoTPM) { // a TPM that has to be there and does not answer is no reason to go without
		m.TPM = func() (act.TPM, error) { return seal.Open(seal.Device) }
	}
	if p := open(layout.State, true); p.Device != nil {
		m.Register.State = p.Device
	}
	m.ID = identity(s, say)
	return m
}

// cold is a partition that can forget what the kernel keeps of it in memory.
type cold struct{ *os.File }

// Forget is redeploy.Cached's: everything was flushed before, so all of it can go.
func (c cold) Forget() error {
	return unix.Fadvise(int(c.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// prove has the kernel check the root hash's signature, as the next boot will.
func prove(s boot.Stopped, n slot.Name, r release.Release) error {
	const name = "choba-proof"
	_, err := s.World.OpenVerity(dm.Verity{
		Name: name, Table: verity.Table(s.Disk.Parts[layout.SlotPartition(string(n))].Path, r.Verity, dm.VerityKey),
		Sectors: r.Verity.Sectors(), Signature: r.RootSignature,
	})
	return errors.Join(err, s.World.CloseVerity(name))
}

// network is the way to the server, or nil when the image names none.
func network(s boot.Stopped, say func(string)) act.Net {
	text, err := s.World.ReadFile(updateFile)
	var from source.Source
	if err == nil {
		from, err = source.Parse(text)
	}
	if err != nil {
		say("note: no server to ask: " + err.Error())
		return nil
	}
	return &wire.Net{Sys: "/sys", From: from, Now: s.World.Now}
}

// identity names the register: by its TPM, without one by its disk.
func identity(s boot.Stopped, say func(string)) string {
	if t, err := seal.Open(seal.Device); err == nil {
		defer t.Close()
		id, err := t.Identity()
		if err == nil {
			return ticket.Name([]byte("tpm\n" + id.String()))
		}
		say("note: " + err.Error())
	}
	text := "disk\n"
	for _, f := range []string{"serial", "device/serial", "wwid", "device/wwid"} {
		b, err := os.ReadFile(filepath.Join("/sys/block", s.Disk.Name, f))
		if err == nil {
			text += strings.TrimSpace(string(b)) + "\n"
		}
	}
	return ticket.Name([]byte(text))
}

// usbNames are the USB devices, with the names that they give themselves.
func usbNames() ([]string, error) {
	dirs, err := filepath.Glob("/sys/bus/usb/devices/*-*")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, d := range dirs {
		if strings.Contains(filepath.Base(d), ":") {
			continue // an interface
		}
		name, err := os.ReadFile(filepath.Join(d, "product"))
		if err != nil {
			name = []byte("?")
		}
		out = append(out, fmt.Sprintf("%s %.40q", filepath.Base(d), strings.TrimSpace(string(name))))
	}
	return out, nil
}

// screens are the lit screens. The picture goes away with them: they are kept for ever.
type screens struct {
	say func(string)
	mu  sync.Mutex // guards lit: a self-test names the screens while others are looked for
	lit []*display.Output
}

// light looks for screens until there are some.
func (s *screens) light() (out []attend.Output) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cards, err := display.Cards()
	if err != nil {
		s.say("note: " + err.Error())
	}
	for _, c := range cards {
		outs, err := display.Open(c)
		if err != nil {
			if !errors.Is(err, display.ErrNoScreen) {
				s.say("note: " + err.Error())
			}
			continue
		}
		for _, o := range outs {
			s.lit = append(s.lit, o)
			out = append(out, o)
		}
	}
	return out
}

func (s *screens) names() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.lit {
		w, h := o.Size()
		out = append(out, fmt.Sprintf("%s %d×%d", o.Name, w, h))
	}
	return out
}
