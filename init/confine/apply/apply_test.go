package apply

import (
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/init/confine/policy"
	"github.com/choba-os/choba/init/confine/seccomp"
	"github.com/choba-os/choba/services/table"
)

const uid = 977

// TestMain lets the test binary be confine ("stage" DIR WORD) and then the service behind it ("probe" DIR WORD).
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "stage" {
		fmt.Fprintln(os.Stderr, stage(os.Args[2], os.Args[3]))
		os.Exit(1)
	}
	if len(os.Args) == 4 && os.Args[1] == "probe" {
		probe(os.Args[2], os.Args[3])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func testPolicy(dir, word string) (policy.Policy, error) {
	calls, err := seccomp.Rules(nil)
	return policy.Policy{
		Name: "test", Binary: dir + "/prog", Args: []string{"probe", dir, word}, UID: uid,
		Env: []string{"GOMEMLIMIT=64MiB", "GOTRACEBACK=single"},
		Limits: []policy.Limit{
			{Name: "NOFILE", Value: 64}, {Name: "NPROC", Value: 40}, {Name: "CORE", Value: 0}, {Name: "MEMLOCK", Value: 1 << 20}},
		Files: []policy.Access{
			{Right: policy.Execute, Path: dir + "/prog"}, {Right: policy.Read, Path: dir + "/read"},
			{Right: policy.Own, Path: dir + "/own"}, {Right: policy.Device, Path: "/dev"},
			{Right: policy.Read, Path: "/proc/self"}},
		Sockets: []string{table.Socket("callee")},
		Shown:   []policy.Shown{{Path: "/run/other", Owner: uid + 1}, {Path: table.Facts}},
		Calls:   calls,
	}, err
}

// rightsPolicy is that of a row with the network's rights and a folder of its own.
func rightsPolicy(dir, word string) (policy.Policy, error) {
	p, err := testPolicy(dir, word)
	if err != nil {
		return p, err
	}
	p.Rights, p.TCP = []string{"net_admin", "net_raw"}, true
	p.Shown = append(p.Shown, policy.Shown{Path: "/run/test", Owner: uid, Write: true})
	p.Files = append(p.Files, policy.Access{Right: policy.Own, Path: "/run/test"}, policy.Access{Right: policy.Read, Path: "/run/other"},
		policy.Access{Right: policy.Read, Path: table.Facts})
	p.Calls, err = seccomp.Rules([]string{"net", "inet"})
	return p, err
}

// stage makes a /run of its own with two sockets and then is confined.
func stage(dir, word string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("run", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	if err := os.MkdirAll(table.SocketDir, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"callee", "stranger"} {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0) // inherited by the probe, so that somebody listens
		if err != nil {
			return err
		}
		if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: table.Socket(name)}), unix.Listen(fd, 8),
			os.Chmod(table.Socket(name), 0o666)); err != nil {
			return err
		}
	}
	if err := os.WriteFile(table.Facts, []byte("x"), 0o644); err != nil {
		return err
	}
	of := testPolicy
	if word == "rights" {
		of = rightsPolicy
	}
	p, err := of(dir, word)
	if err != nil {
		return err
	}
	if word == "privileges" { // what the filter would hide
		if err := privileges(p); err != nil {
			return err
		}
		bits, err := unix.PrctlRetInt(unix.PR_GET_SECUREBITS, 0, 0, 0, 0)
		fmt.Printf("securebits %#x\n", bits)
		if e := unix.Setuid(0); e == nil {
			fmt.Println("root again")
		}
		return err
	}
	return Exec(p)
}

// probe is the service: it tries things and tells how each went.
func probe(dir, word string) {
	if word == "kill" {
		unix.PtraceAttach(os.Getppid())
		return
	}
	read := func(path string) error { _, err := os.ReadFile(path); return err }
	dial := func(network, to string) error {
		c, err := net.Dial(network, to)
		if err == nil {
			c.Close()
		}
		return err
	}
	list := func(path string) error { _, err := os.ReadDir(path); return err }
	packet := func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM, 0)
		if err == nil {
			err = unix.Close(fd)
		}
		return err
	}
	got := map[string]string{}
	for name, err := range map[string]error{
		"read what it may":        read(dir + "/read/file"),
		"read its own program":    read(dir + "/prog"),
		"read another file":       read(dir + "/other"),
		"read passwd":             read("/etc/passwd"),
		"write its own":           os.WriteFile(dir+"/own/file", []byte("x"), 0o600),
		"make a folder":           os.MkdirAll(dir+"/own/a/b", 0o700),
		"write what it may read":  os.WriteFile(dir+"/read/file", []byte("x"), 0o600),
		"write null":              os.WriteFile(os.DevNull, []byte("x"), 0),
		"call the callee":         dial("unix", table.Socket("callee")),
		"call the stranger":       dial("unix", table.Socket("stranger")),
		"connect":                 dial("tcp", "127.0.0.1:9"),
		"read the facts":          read(table.Facts),
		"write its own under run": os.WriteFile("/run/test/x", nil, 0o600),
		"write another's":         os.WriteFile("/run/other/x", nil, 0o600),
		"list another's":          list("/run/other"),
		"open a raw socket":       packet(),
		"make a socket under run": os.WriteFile("/run/choba/x", nil, 0o600),
		"start a program":         exec.Command(dir + "/prog").Run(),
		"execute another":         unix.Exec("/bin/true", []string{"true"}, nil),
		"signal init":             syscall.Kill(1, 0),
	} {
		got[name] = "yes"
		if err != nil {
			got[name] = "no"
		}
	}
	status, _ := os.ReadFile("/proc/self/status")
	for _, l := range strings.Split(string(status), "\n") {
		if k, v, ok := strings.Cut(l, ":"); ok {
			got[k] = strings.Join(strings.Fields(v), " ")
		}
	}
	for name, r := range map[string]int{"nofile": unix.RLIMIT_NOFILE, "nproc": unix.RLIMIT_NPROC, "core": unix.RLIMIT_CORE} {
		var l unix.Rlimit
		unix.Getrlimit(r, &l)
		got[name] = fmt.Sprintf("%d %d", l.Cur, l.Max)
	}
	_, err := os.Lstat(table.Socket("stranger"))
	got["stranger is not there"] = fmt.Sprint(errors.Is(err, os.ErrNotExist))
	got["env"] = strings.Join(os.Environ(), " ")
	json.NewEncoder(os.Stdout).Encode(got)
}

// bench prepares a folder with a copy of this test binary that user uid can reach.
func bench(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: namespaces, users and capabilities are what is tested")
	}
	if err := Lacks(); err != nil {
		t.Skip("this kernel cannot confine wholly; the tests in the machine do it for real: " + err.Error())
	}
	self, err := os.Executable()
	require.NoError(t, err)
	f, err := elf.Open(self)
	require.NoError(t, err)
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Skip("the test binary is not static as services are; run with CGO_ENABLED=0")
		}
	}
	dir := t.TempDir()
	for d := dir; d != "/tmp" && d != "/"; d = filepath.Dir(d) {
		require.NoError(t, os.Chmod(d, 0o755))
	}
	in, err := os.Open(self)
	require.NoError(t, err)
	defer in.Close()
	out, err := os.OpenFile(dir+"/prog", os.O_CREATE|os.O_WRONLY, 0o755)
	require.NoError(t, err)
	_, err = io.Copy(out, in)
	require.NoError(t, errors.Join(err, out.Close()))
	for _, d := range []string{"read", "own"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, d), 0o755))
	}
	require.NoError(t, os.Chown(dir+"/own", uid, uid))
	for _, file := range []string{"read/file", "other"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte("x"), 0o644))
	}
	return dir
}

func confined(dir, word string) *exec.Cmd {
	cmd := exec.Command(dir+"/prog", "stage", dir, word)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS}
	return cmd
}

// A73: what a conquered service could still do.
func TestConfined(t *testing.T) {
	dir := bench(t)
	out, err := confined(dir, "all").Output()
	require.NoError(t, err)
	var got map[string]string
	require.NoError(t, json.Unmarshal(out, &got))

	for _, may := range []string{"read what it may", "read its own program", "write its own", "make a folder", "write null", "call the callee"} {
		require.Equal(t, "yes", got[may], may)
	}
	for _, not := range []string{"read the facts", "write its own under run", "write another's", "list another's", "open a raw socket", "read another file", "read passwd", "write what it may read", "call the stranger", "connect",
		"make a socket under run", "start a program", "execute another", "signal init"} {
		require.Equal(t, "no", got[not], not)
	}
	require.Equal(t, "true", got["stranger is not there"])
	require.Equal(t, "977 977 977 977", got["Uid"])
	require.Equal(t, "977 977 977 977", got["Gid"])
	require.Empty(t, got["Groups"])
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		require.Equal(t, "0000000000000000", got[set], set)
	}
	require.Equal(t, "1", got["NoNewPrivs"])
	require.Equal(t, "2", got["Seccomp"])
	require.Equal(t, "64 64", got["nofile"])
	require.Equal(t, "40 40", got["nproc"])
	require.Equal(t, "0 0", got["core"])
	require.Equal(t, "GOMEMLIMIT=64MiB GOTRACEBACK=single", got["env"])
}

// A row with rights has exactly those, and the folders under /run that it was shown, one of them its own.
func TestRights(t *testing.T) {
	out, err := confined(bench(t), "rights").Output()
	require.NoError(t, err)
	var got map[string]string
	require.NoError(t, json.Unmarshal(out, &got))
	const both = "0000000000003000" // CAP_NET_ADMIN is bit 12, CAP_NET_RAW bit 13
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		require.Equal(t, both, got[set], set)
	}
	require.Equal(t, "977 977 977 977", got["Uid"])
	require.Equal(t, "1", got["NoNewPrivs"])
	for _, may := range []string{"read the facts", "write its own under run", "list another's", "open a raw socket"} {
		require.Equal(t, "yes", got[may], may)
	}
	for _, not := range []string{"write another's", "read passwd", "start a program", "execute another", "make a socket under run", "connect"} {
		require.Equal(t, "no", got[not], not) // connecting is allowed, and nothing listens in an empty namespace
	}
}

func TestUnknownRight(t *testing.T) {
	_, err := capabilities([]string{"sys_admin"})
	require.ErrorContains(t, err, "not known")
}

// Securebits (capabilities(7)): no root, no fix-up of capabilities, no keeping, no ambient set, all locked.
func TestPrivilegesAreLocked(t *testing.T) {
	out, _ := confined(bench(t), "privileges").Output()
	require.Equal(t, "securebits 0xef\n", string(out))
}

func TestHostileCallEndsTheService(t *testing.T) {
	dir := bench(t)
	err := confined(dir, "kill").Run()
	var e *exec.ExitError
	require.ErrorAs(t, err, &e)
	st := e.Sys().(syscall.WaitStatus)
	require.True(t, st.Signaled())
	require.Equal(t, syscall.SIGSYS, st.Signal())
}

// Whatever cannot be done ends everything: there is no half confinement.
func TestNoBestEffort(t *testing.T) {
	require.ErrorContains(t, limits(policy.Policy{Limits: []policy.Limit{{Name: "LUCK", Value: 1}}}), "not known")
	require.ErrorContains(t, files(policy.Policy{Files: []policy.Access{{Right: "all", Path: "/"}}}), "not known")
	require.ErrorIs(t, files(policy.Policy{Files: []policy.Access{{Right: policy.Read, Path: "/no/such"}}}), os.ErrNotExist)
}
