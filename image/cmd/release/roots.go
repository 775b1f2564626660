package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/choba-os/choba/image/repository"
	"github.com/choba-os/choba/keys/keyfile"
	"github.com/choba-os/choba/keys/trust"
)

// rootYears is how long a new root is good for. A register that was off for longer
// still follows a chain of outdated roots to one that is not.
const rootYears = 10

// root writes the first root out of public keys. Whoever holds root keys signs it
// afterwards (release sign).
func (c *call) root() error {
	var to string
	given := map[string]*string{}
	_, err := c.parse(func(f *flag.FlagSet) {
		f.StringVar(&to, "o", "root.json", "where to")
		for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
			given[role] = f.String(role, "", "who holds the role: THRESHOLD:FILE.pub,FILE.pub")
		}
	})
	if err != nil {
		return err
	}
	var roles repository.Roles
	for name, value := range given {
		role, err := roles.Of(name)
		if err != nil {
			return err
		}
		if *role, err = c.readRole(*value); err != nil {
			return fmt.Errorf("-%s: %w", name, err)
		}
	}
	text, err := repository.NewRoot(1, roles, c.now.UTC().AddDate(rootYears, 0, 0), nil)
	if err != nil {
		return err
	}
	if err := writeNew(to, text, 0o644); err != nil {
		return err
	}
	c.say("%s: %d of its root keys must sign it (release sign %s -key KEY).", to, roles.Root.Threshold, to)
	return nil
}

func (c *call) readRole(value string) (repository.Role, error) {
	count, files, ok := strings.Cut(value, ":")
	var r repository.Role
	if _, err := fmt.Sscan(count, &r.Threshold); err != nil || !ok {
		return r, errors.New("want THRESHOLD:FILE.pub,FILE.pub")
	}
	for _, path := range strings.Split(files, ",") {
		k, err := c.readPublic(path)
		if err != nil {
			return r, err
		}
		r.Keys = append(r.Keys, k)
	}
	return r, nil
}

func (c *call) readPublic(path string) (repository.PublicKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return repository.PublicKey{}, err
	}
	k, err := keyfile.ParsePublic(text)
	if err != nil {
		return repository.PublicKey{}, fmt.Errorf("%s: %w", path, err)
	}
	if c.production && strings.Contains(k.Name, trust.InsecureMark) {
		return repository.PublicKey{}, fmt.Errorf("%s: a production release takes no development key", path)
	}
	return repository.PublicKey(k), nil
}

func (c *call) rotate() error {
	args, err := c.parse(nil)
	if err != nil {
		return err
	}
	public, err := c.readPublic(args[3])
	if err != nil {
		return err
	}
	return c.changeRole(args[0], args[1], func(role *repository.Role) error {
		at := find(role, args[2])
		if at < 0 {
			return fmt.Errorf("no key %s in the role", args[2])
		}
		role.Keys[at] = public
		return nil
	})
}

func (c *call) revoke() error {
	threshold := 0
	args, err := c.parse(func(f *flag.FlagSet) {
		f.IntVar(&threshold, "threshold", 0, "how many of those who remain must sign (default: as before)")
	})
	if err != nil {
		return err
	}
	return c.changeRole(args[0], args[1], func(role *repository.Role) error {
		at := find(role, args[2])
		if at < 0 {
			return fmt.Errorf("no key %s in the role", args[2])
		}
		role.Keys = slices.Delete(role.Keys, at, at+1)
		if threshold > 0 {
			role.Threshold = threshold
		}
		if role.Threshold > len(role.Keys) {
			return fmt.Errorf("%d of the %d who remain cannot sign: rotate the key instead, or give -threshold", role.Threshold, len(role.Keys))
		}
		return nil
	})
}

func find(role *repository.Role, name string) int {
	return slices.IndexFunc(role.Keys, func(k repository.PublicKey) bool { return k.Name == name })
}

// changeRole stages the next root with one role changed. A change that still waits for
// signatures stays in it; its signatures do not.
func (c *call) changeRole(dir, name string, change func(*repository.Role) error) error {
	folder := repository.Folder{Dir: dir}
	if err := c.refuseInsecure(folder); err != nil {
		return err
	}
	info, waits, err := folder.NextRoot()
	if err != nil {
		return err
	}
	role, err := info.Roles.Of(name)
	if err != nil {
		return err
	}
	if err := change(role); err != nil {
		return err
	}
	expires := c.now.UTC().AddDate(rootYears, 0, 0)
	if info.Expires.After(expires) {
		expires = info.Expires
	}
	text, err := repository.NewRoot(info.Version, info.Roles, expires, nil)
	if err != nil {
		return err
	}
	if err := folder.StageRoot(text); err != nil {
		return err
	}
	if waits {
		c.say("Root version %d waited already: this change joins those in it, and who has signed it signs anew.", info.Version)
	}
	return c.advance(folder)
}
