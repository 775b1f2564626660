package redeploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/choba-os/choba/image/release"
	"github.com/choba-os/choba/image/slot"
	"github.com/choba-os/choba/image/verity"
)

// found is an offer whose manifest this register takes.
type found struct {
	offer   Offer
	release release.Release
}

// sift checks every offer and orders the good ones, newest first, each release once.
func (d *Deployer) sift(k Kind, offers []Offer, anew bool) (good []found, refused []error) {
	rec := d.record()
	seen := map[[32]byte]bool{}
	for _, o := range offers {
		r, err := d.check(o.Signed)
		if err == nil && !anew && failedBefore(rec, r) {
			err = fmt.Errorf("version %d: %w", r.Version, ErrSpent)
		}
		if err != nil {
			refused = append(refused, Refusal{k, o.Where, err})
			continue
		}
		if !seen[r.ID] {
			seen[r.ID] = true
			good = append(good, found{o, r})
		}
	}
	slices.SortStableFunc(good, func(a, b found) int { return cmp.Compare(b.release.Version, a.release.Version) })
	return good, refused
}

func (d *Deployer) check(signed []byte) (release.Release, error) {
	return release.Check(d.Register.Root, signed, release.Register{Hardware: d.Register.Hardware, Floor: d.Register.Floor})
}

func failedBefore(rec slot.Record, r release.Release) bool {
	return slices.ContainsFunc(rec.Failed, func(f slot.Failure) bool { return f.Manifest == slot.Manifest(r.ID) })
}

// record reads the slot record; a lost one is the default, as for recovery/boot.
func (d *Deployer) record() slot.Record {
	rec, _, err := slot.Load(d.Register.State)
	if err != nil {
		return slot.Default()
	}
	return rec
}

// put makes a checked release the one on trial.
func (d *Deployer) put(ctx context.Context, k Kind, f found, anew bool) (Done, error) {
	done := Done{Kind: k, Where: f.offer.Where, Release: f.release, Slot: f.offer.in}
	d.now = Progress{Kind: k, Where: f.offer.Where, Version: f.release.Version, Name: f.release.Name}
	rec := d.record()
	var err error
	if done.Slot == "" {
		if done.Slot, rec, err = d.target(rec); err != nil {
			return Done{}, err
		}
		if err := slot.Store(d.Register.State, rec); err != nil {
			return Done{}, err
		}
		if err := d.write(ctx, d.Register.Slots[done.Slot], f); err != nil {
			return Done{}, err
		}
	} else if rec, err = vacate(rec, done.Slot); err != nil {
		return Done{}, err
	}
	if err := d.verify(ctx, d.Register.Slots[done.Slot], f.release); err != nil {
		return Done{}, err
	}
	if p := d.Register.Prove; p != nil {
		if err := p(done.Slot, f.release); err != nil {
			return Done{}, err
		}
	}
	// The very slot that missed ready too often may be tried again; that it failed is known.
	rec, err = slot.Offer(rec, done.Slot, f.release.Version, slot.Manifest(f.release.ID), anew || f.offer.in != "")
	if err != nil {
		return Done{}, err
	}
	if err := slot.Store(d.Register.State, rec); err != nil {
		return Done{}, err
	}
	if k == Stick || k == Network {
		done.Renewed, done.RenewProblem = d.renew(ctx, done.Slot, f.release)
	}
	return done, nil
}

// target chooses the slot that is worth least and returns the record in which it is empty.
func (d *Deployer) target(rec slot.Record) (slot.Name, slot.Record, error) {
	names := slot.Names()
	order := names[:]
	worth := map[slot.Name]int{}
	for _, n := range order {
		worth[n] = d.worth(rec, n)
	}
	slices.SortStableFunc(order, func(a, b slot.Name) int {
		return cmp.Or(cmp.Compare(worth[a], worth[b]), cmp.Compare(rec.Slot(a).Version, rec.Slot(b).Version))
	})
	var problems []error
	for _, n := range order {
		if d.Register.Slots[n].Device == nil {
			problems = append(problems, fmt.Errorf("slot %s has no partition", n))
			continue
		}
		next, err := slot.Clear(rec, n)
		if err == nil {
			return n, next, nil
		}
		problems = append(problems, err)
	}
	return "", rec, fmt.Errorf("%w: %w", ErrNoSlot, errors.Join(problems...))
}

// worth of a slot: what it would cost to overwrite it.
func (d *Deployer) worth(rec slot.Record, n slot.Name) int {
	s := rec.Slot(n)
	w := map[slot.State]int{slot.Refused: 1, slot.Trial: 2, slot.Unknown: 3, slot.Good: 4}[s.State] * 4
	r, err := d.look(d.Register.Slots[n])
	if err == nil && (s.State == slot.Unknown || s.Manifest == slot.Manifest(r.ID)) {
		w += 2
	}
	if rec.Preferred == n {
		w++
	}
	return w
}

// look reads a partition's head and holds it against this register.
func (d *Deployer) look(p Part) (release.Release, error) {
	if p.Device == nil {
		return release.Release{}, ErrNothing
	}
	signed, err := release.ReadHead(p, p.Size)
	if err != nil {
		return release.Release{}, err
	}
	return d.check(signed)
}

func (d *Deployer) write(ctx context.Context, to Part, f found) error {
	m := f.release.Manifest
	d.begin(Writing, m.EROFS.Size+m.Tree.Size)
	erofs, tree, end, err := f.offer.Parts(ctx, m)
	if err != nil {
		return err
	}
	err = release.WriteSlot(to, to.Size, m, f.offer.Signed, watched{ctx, erofs, d}, watched{ctx, tree, d})
	return errors.Join(err, end())
}

// verify reads the whole slot back as the kernel would, and its head.
func (d *Deployer) verify(ctx context.Context, p Part, want release.Release) error {
	d.begin(Checking, want.EROFS.Size+want.Tree.Size)
	if c, ok := p.Device.(Cached); ok {
		if err := c.Forget(); err != nil {
			return fmt.Errorf("reading back: %w", err)
		}
	}
	if err := verity.Verify(watchedAt{ctx, p, d}, want.Verity); err != nil {
		return fmt.Errorf("reading back: %w", err)
	}
	got, err := d.look(p)
	if err != nil {
		return fmt.Errorf("reading back: %w", err)
	}
	if got.ID != want.ID {
		return fmt.Errorf("reading back: it holds version %d", got.Version)
	}
	return nil
}

// vacate makes room in the record for the release that lies in a slot already. It is
// one change with the offer that follows: nothing is stored in between.
func vacate(rec slot.Record, n slot.Name) (slot.Record, error) {
	if s := rec.Slot(n).State; s == slot.Good || s == slot.Trial {
		next, err := slot.Refuse(rec, n, "offered anew by recovery")
		if err != nil {
			return rec, err
		}
		rec = next
	}
	return slot.Clear(rec, n)
}

// renew writes the factory partition anew from a slot that was just read back, when
// what the factory partition holds cannot serve: damaged, foreign or below the floor.
func (d *Deployer) renew(ctx context.Context, from slot.Name, r release.Release) (bool, error) {
	fact := d.Register.Factory
	if fact.Device == nil {
		return false, nil
	}
	old, err := d.look(fact)
	if err == nil {
		d.begin(Checking, old.EROFS.Size+old.Tree.Size)
		err = verity.Verify(watchedAt{ctx, fact, d}, old.Verity)
	}
	if err == nil || ctx.Err() != nil {
		return false, nil
	}
	if err := d.copyTo(ctx, fact, d.Register.Slots[from], r); err != nil {
		return false, fmt.Errorf("renewing the factory release: %w", err)
	}
	return true, nil
}

func (d *Deployer) copyTo(ctx context.Context, to, from Part, r release.Release) error {
	signed, err := release.ReadHead(from, from.Size)
	if err != nil {
		return err
	}
	f := found{Offer{Signed: signed, Parts: partsOf(from)}, r}
	d.begin(Renewing, r.EROFS.Size+r.Tree.Size)
	erofs, tree, _, err := f.offer.Parts(ctx, r.Manifest)
	if err != nil {
		return err
	}
	if err := release.WriteSlot(to, to.Size, r.Manifest, signed, watched{ctx, erofs, d}, watched{ctx, tree, d}); err != nil {
		return err
	}
	return d.verify(ctx, to, r)
}

// partsOf reads the parts out of a partition.
func partsOf(p Part) func(context.Context, release.Manifest) (erofs, tree io.Reader, end func() error, err error) {
	return func(_ context.Context, m release.Manifest) (io.Reader, io.Reader, func() error, error) {
		return io.NewSectionReader(p, 0, m.EROFS.Size), io.NewSectionReader(p, m.EROFS.Size, m.Tree.Size), func() error { return nil }, nil
	}
}
