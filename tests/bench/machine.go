// Package bench is a register without a register: it starts the real image in
// QEMU with Secure Boot on and a TPM, and gives it virtual register hardware
// that the guest's kernel takes for real.
//
// It is not part of the product and knows nothing of a sale: it scans, touches,
// reads paper, takes pictures, pulls plugs.
//
// The rule that keeps it small: one device is one package below this one; here
// stands only what a machine is made of.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/choba-os/choba/tests/bench/qmp"
)

// Firmware is Debian's OVMF with Secure Boot and SMM.
const Firmware = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"

// Config says what a machine is made of. Disk and Vars are never written: the
// machine works on copies in Dir.
type Config struct {
	Dir      string    // the machine's own folder; what is in it survives power cuts
	Disk     string    // the whole disk as the vendor flashes it
	Vars     string    // firmware variables with the keys enrolled
	ESP      string    // optional: a FAT image offered as the disk to boot from instead
	NoTPM    bool      // no TPM at all
	TIS      bool      // the TPM is a chip on the board (TIS registers), not part of the processor (CRB)
	DiskSize int       // MiB, of a disk larger than the flashed one; 0 means as flashed
	Memory   int       // MiB; 0 means 512
	CPUs     int       // 0 means 2
	Width    int       // of the display; 0 means 1280
	Height   int       // 0 means 800
	Watchdog bool      // an i6300esb that resets the machine
	Record   string    // optional: folder that gets every write to the disk, 1.log of the first power-on, and so on
	Server   string    // optional: HOST:PORT of a server on this machine that the guest sees as 10.0.2.100:443
	Clock    time.Time // what the machine's own clock says at power-on; zero means the right time
	Console  io.Writer // optional: gets what the guest prints
	Extra    []string  // further QEMU arguments
}

// usbPorts is the number of sockets for emulated USB devices.
const usbPorts = 4

// Machine is one QEMU with its TPM. It is switched on by Start and loses power
// by Cut; Start again boots what the disk then holds.
type Machine struct {
	cfg  Config
	QMP  *qmp.Client
	ons  int       // how often it was switched on
	from time.Time // power on

	qemu, tpm *exec.Cmd
	exited    chan struct{}
	exitErr   error // readable after exited is closed

	mu      sync.Mutex // guards console
	console []byte
	more    chan struct{} // closed and replaced when console grows
}

// New prepares the machine's folder: disk overlay, firmware variables, TPM
// state are made when they are not there yet.
func New(cfg Config) (*Machine, error) {
	if strings.Contains(cfg.Dir, ",") {
		return nil, fmt.Errorf("preparing machine: %q: QEMU takes no comma in a path", cfg.Dir)
	}
	cfg.Memory, cfg.CPUs = or(cfg.Memory, 512), or(cfg.CPUs, 2)
	cfg.Width, cfg.Height = or(cfg.Width, 1280), or(cfg.Height, 800)
	m := &Machine{cfg: cfg, more: make(chan struct{})}
	if err := os.MkdirAll(m.path("tpm"), 0o755); err != nil {
		return nil, fmt.Errorf("preparing machine: %w", err)
	}
	if err := m.overlay(); err != nil {
		return nil, err
	}
	return m, m.copyVars()
}

func or(v, def int) int {
	if v == 0 {
		return def
	}
	return v
}

func (m *Machine) path(name string) string { return filepath.Join(m.cfg.Dir, name) }

// Dir is the machine's folder.
func (m *Machine) Dir() string { return m.cfg.Dir }

// USB is the path of the socket of port n, for usbredir devices.
func (m *Machine) USB(n int) string { return m.path(fmt.Sprintf("usb%d.sock", n)) }

// PrinterLine is the socket behind the serial printer's USB converter.
func (m *Machine) PrinterLine() string { return m.path("printer.sock") }

// DiskFile is the machine's own disk, a qcow2 over the flashed one.
func (m *Machine) DiskFile() string { return m.path("disk.qcow2") }

func (m *Machine) overlay() error {
	if _, err := os.Stat(m.DiskFile()); err == nil {
		return nil
	}
	disk, err := filepath.Abs(m.cfg.Disk)
	if err != nil {
		return fmt.Errorf("making disk: %w", err)
	}
	args := []string{"create", "-q", "-f", "qcow2", "-F", "raw", "-b", disk, m.DiskFile()}
	if m.cfg.DiskSize > 0 {
		args = append(args, fmt.Sprintf("%dM", m.cfg.DiskSize))
	}
	out, err := exec.Command("qemu-img", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("making disk: %w: %s", err, out)
	}
	return nil
}

func (m *Machine) copyVars() error {
	if _, err := os.Stat(m.path("vars.fd")); err == nil {
		return nil
	}
	b, err := os.ReadFile(m.cfg.Vars)
	if err != nil {
		return fmt.Errorf("reading firmware variables: %w", err)
	}
	return os.WriteFile(m.path("vars.fd"), b, 0o644)
}

func (c Config) clock() string {
	if c.Clock.IsZero() {
		return "utc"
	}
	return c.Clock.UTC().Format("2006-01-02T15:04:05")
}

// ReplaceTPM puts a new TPM on the board of a machine that is off.
func (m *Machine) ReplaceTPM() error {
	if err := os.RemoveAll(m.path("tpm")); err != nil {
		return fmt.Errorf("taking the TPM off: %w", err)
	}
	return os.MkdirAll(m.path("tpm"), 0o755)
}

// diskArgs make the node "disk", with a recorder in front of it when one is wanted.
func (m *Machine) diskArgs() []string {
	if m.cfg.Record == "" {
		return []string{"-blockdev", "driver=qcow2,node-name=disk,file.driver=file,file.filename=" + m.DiskFile()}
	}
	return []string{"-blockdev", "driver=qcow2,node-name=recorded,file.driver=file,file.filename=" + m.DiskFile(),
		"-blockdev", "driver=blklogwrites,node-name=disk,file=recorded,log.driver=file,log-sector-size=512,log.filename=" + m.Recording(m.ons)}
}

// Recording is the file with the writes of the nth power-on, in the format of dm-log-writes.
func (m *Machine) Recording(n int) string {
	return filepath.Join(m.cfg.Record, fmt.Sprintf("%d.log", n))
}

// Start switches the machine on. The monitor answers when it returns; the
// guest is in its firmware.
func (m *Machine) Start(ctx context.Context) error {
	if err := m.startTPM(ctx); err != nil {
		return err
	}
	for _, s := range []string{"qmp.sock", "con.sock"} {
		os.Remove(m.path(s))
	}
	log, err := os.Create(m.path("qemu.log"))
	if err != nil {
		return fmt.Errorf("starting machine: %w", err)
	}
	defer log.Close()
	m.ons++
	if m.cfg.Record != "" { // QEMU writes a log only into a file that is there
		if err := os.WriteFile(m.Recording(m.ons), nil, 0o644); err != nil {
			return fmt.Errorf("starting machine: %w", err)
		}
	}
	m.qemu = exec.Command("qemu-system-x86_64", m.args()...)
	m.qemu.Stdout, m.qemu.Stderr = log, log
	m.qemu.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	m.mu.Lock()
	m.console = nil
	m.mu.Unlock()
	os.Remove(m.path("console.log"))
	m.from = time.Now()
	if err := startLocked(m.qemu); err != nil {
		return fmt.Errorf("starting machine: %w", err)
	}
	m.exited = make(chan struct{})
	go m.wait(m.qemu, m.exited)
	go m.tail(m.exited)
	m.QMP, err = qmp.Dial(m.path("qmp.sock"), 20*time.Second)
	if err != nil {
		b, _ := os.ReadFile(m.path("qemu.log"))
		m.Cut()
		return fmt.Errorf("%w: %s", err, b)
	}
	return nil
}

func (m *Machine) wait(cmd *exec.Cmd, exited chan struct{}) {
	m.exitErr = cmd.Wait()
	close(exited)
}

// Exited is closed when QEMU has ended, by power-off or by Cut.
func (m *Machine) Exited() <-chan struct{} { return m.exited }

// Since is the time since power on.
func (m *Machine) Since() time.Duration { return time.Since(m.from) }

// Cut takes the power away at once, as a pulled mains plug does.
func (m *Machine) Cut() {
	if m.qemu == nil {
		return
	}
	m.qemu.Process.Kill()
	<-m.exited
	if m.QMP != nil {
		m.QMP.Close()
		m.QMP = nil
	}
	if m.tpm != nil {
		m.tpm.Process.Kill() // it ends by itself when QEMU is gone; not waited for long
		m.tpm.Wait()
	}
	m.qemu, m.tpm = nil, nil
}

// startTPM starts a new swtpm on the kept state: it ends with QEMU's connection.
func (m *Machine) startTPM(ctx context.Context) error {
	if m.cfg.NoTPM {
		return nil
	}
	if _, err := os.Stat(m.path("tpm/tpm2-00.permall")); err != nil {
		out, err := exec.CommandContext(ctx, "swtpm_setup", "--tpm2", "--tpmstate", m.path("tpm"), "--pcr-banks", "sha256", "--overwrite").CombinedOutput()
		if err != nil {
			return fmt.Errorf("making tpm: %w: %s", err, out)
		}
	}
	sock := m.path("tpm.sock")
	os.Remove(sock)
	m.tpm = exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+m.path("tpm"), "--ctrl", "type=unixio,path="+sock, "--flags", "startup-clear")
	m.tpm.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := startLocked(m.tpm); err != nil {
		return fmt.Errorf("starting tpm: %w", err)
	}
	for range 200 {
		if _, err := os.Stat(sock); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	m.tpm.Process.Kill()
	return errors.New("starting tpm: its socket did not appear")
}

// cpu is all that the emulator can, but for the fast string instructions: TCG does
// them byte by byte, and a kernel that sees them clears every page with one (an
// exec of the first program took 1.9 s with them, 0.4 s without).
const cpu = "max,-erms,-fsrm"

func (m *Machine) args() []string {
	c := m.cfg
	a := []string{"-machine", "q35,smm=on,i8042=off", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", cpu,
		"-smp", fmt.Sprint(c.CPUs), "-m", fmt.Sprint(c.Memory), "-nodefaults", "-display", "none",
		"-global", "driver=cfi.pflash01,property=secure,value=on",
		"-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + Firmware,
		"-drive", "if=pflash,format=raw,unit=1,file=" + m.path("vars.fd"),
		"-qmp", "unix:" + m.path("qmp.sock") + ",server=on,wait=off",
		"-chardev", "file,id=con,path=" + m.path("console.log"), "-serial", "chardev:con",
		"-device", fmt.Sprintf("bochs-display,xres=%d,yres=%d", c.Width, c.Height),
		"-rtc", "base=" + c.clock(),
		"-device", "virtio-blk-pci,drive=disk,bootindex=1,addr=0x10",
		"-device", "qemu-xhci,id=xhci,p2=12,p3=4",
		"-device", "usb-tablet,bus=xhci.0,port=1",
		"-chardev", "socket,id=printer,path=" + m.PrinterLine() + ",server=on,wait=off", "-device", "usb-serial,bus=xhci.0,port=2,chardev=printer",
	}
	for n := range usbPorts {
		a = append(a, "-chardev", fmt.Sprintf("socket,id=u%d,path=%s,server=on,wait=off", n, m.USB(n)),
			"-device", fmt.Sprintf("usb-redir,bus=xhci.0,port=%d,chardev=u%d,id=usb%d", 3+n, n, n))
	}
	a = append(m.diskArgs(), a...)
	if c.Server != "" {
		host, port, _ := strings.Cut(c.Server, ":")
		a = append(a, "-netdev", fmt.Sprintf("user,id=net,restrict=on,guestfwd=tcp:10.0.2.100:443-cmd:nc %s %s", host, port),
			"-device", "virtio-net-pci,netdev=net")
	}
	if c.ESP != "" {
		a = append(a, "-drive", "if=none,id=esp,format=raw,snapshot=on,file="+c.ESP, "-device", "virtio-blk-pci,drive=esp,bootindex=0,addr=0x11")
	}
	if !c.NoTPM {
		front := "tpm-crb"
		if c.TIS {
			front = "tpm-tis"
		}
		a = append(a, "-chardev", "socket,id=tpm,path="+m.path("tpm.sock"), "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", front+",tpmdev=tpm0")
	}
	if c.Watchdog {
		a = append(a, "-device", "i6300esb", "-action", "watchdog=reset")
	}
	return append(a, c.Extra...)
}
