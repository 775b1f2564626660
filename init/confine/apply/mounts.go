package apply

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/init/confine/policy"
	"github.com/choba-os/choba/services/table"
)

const (
	runFlags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	runSize  = "mode=755,size=64k"
)

// mounts leaves under /run only what the policy names: the sockets that the service may call (landlock before ABI 9
// does not speak of connecting to a socket, so what may not be called is not there), and a few files and folders. The
// namespace is ours alone.
func mounts(p policy.Policy) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("parting from the others' mounts: %w", err)
	}
	held, err := hold(p)
	if err != nil {
		return err
	}
	if err := unix.Mount("run", "/run", "tmpfs", runFlags, runSize); err != nil {
		return fmt.Errorf("covering /run: %w", err)
	}
	if err := os.MkdirAll(table.SocketDir, 0o755); err != nil {
		return err
	}
	for _, h := range held {
		err := h.show()
		unix.Close(h.fd)
		if err != nil {
			return fmt.Errorf("showing %s: %w", h.path, err)
		}
	}
	if err := unix.Mount("", "/run", "", unix.MS_REMOUNT|unix.MS_RDONLY|runFlags, runSize); err != nil {
		return fmt.Errorf("closing /run: %w", err)
	}
	return nil
}

// held is something under /run that is kept open while /run is being covered.
type held struct {
	path   string
	fd     int // -1: it is not there; an empty file is shown
	folder bool
	flags  uintptr // of the mount
}

// hold opens what the policy shows. A service's own folder is made here, whoever comes first: the service or a reader.
func hold(p policy.Policy) ([]held, error) {
	var out []held
	for _, s := range p.Sockets {
		fd, err := open(s)
		if err != nil {
			return nil, err
		}
		out = append(out, held{path: s, fd: fd})
	}
	for _, s := range p.Shown {
		h := held{path: s.Path, flags: unix.MS_RDONLY | runFlags}
		if s.Write {
			h.flags = runFlags
		}
		if s.Owner != 0 {
			h.folder = true
			if err := ownFolder(s); err != nil {
				return nil, err
			}
		}
		var err error
		h.fd, err = open(s.Path)
		if err != nil && !(errors.Is(err, os.ErrNotExist) && s.Owner == 0) {
			return nil, err
		}
		out = append(out, h)
	}
	return out, nil
}

func open(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("holding %s: %w", path, err)
	}
	return fd, nil
}

func ownFolder(s policy.Shown) error {
	if err := os.Mkdir(s.Path, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return os.Chown(s.Path, int(s.Owner), int(s.Owner))
}

// show binds what is held to its old place in the new /run.
func (h held) show() error {
	if h.folder {
		if err := os.MkdirAll(h.path, 0o755); err != nil {
			return err
		}
	} else if err := errors.Join(os.MkdirAll(path.Dir(h.path), 0o755), os.WriteFile(h.path, nil, 0o644)); err != nil {
		return err
	}
	if h.fd < 0 {
		return nil
	}
	if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", h.fd), h.path, "", unix.MS_BIND, ""); err != nil || h.flags == 0 {
		return err
	}
	return unix.Mount("", h.path, "", unix.MS_REMOUNT|unix.MS_BIND|h.flags, "")
}
