// Package feed tells everybody who asks what a service says, now and from now on: its state (the newest counts: Value)
// and what it heard (each counts: Ring).
//
// It keeps nothing on disk and knows no service. The rule that keeps it small: a slow reader loses old values and never
// holds up the service; of a Ring it can tell that it lost some.
package feed

import (
	"context"
	"sync"
)

// Value is one value that changes. The zero Value is not usable.
type Value[T comparable] struct {
	mu      sync.Mutex // guards all below
	now     T
	changed chan struct{}
}

// NewValue starts with v.
func NewValue[T comparable](v T) *Value[T] {
	return &Value[T]{now: v, changed: make(chan struct{})}
}

// Set changes the value; the same again tells nobody.
func (v *Value[T]) Set(now T) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.now == now {
		return
	}
	v.now = now
	close(v.changed)
	v.changed = make(chan struct{})
}

// Get is the value now.
func (v *Value[T]) Get() T {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}

// Follow calls fn with the value now and after each change, until ctx ends or
// fn fails.
func (v *Value[T]) Follow(ctx context.Context, fn func(T) error) error {
	for {
		v.mu.Lock()
		now, changed := v.now, v.changed
		v.mu.Unlock()
		if err := fn(now); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// Ring keeps the last values, numbered from 1. The zero Ring is not usable.
type Ring[T any] struct {
	mu      sync.Mutex // guards all below
	kept    []T
	last    uint64 // number of the newest
	changed chan struct{}
}

// NewRing keeps n values.
func NewRing[T any](n int) *Ring[T] {
	return &Ring[T]{kept: make([]T, n), changed: make(chan struct{})}
}

// Add numbers a value, makes it, and tells everybody.
func (r *Ring[T]) Add(build func(number uint64) T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	r.kept[r.last%uint64(len(r.kept))] = build(r.last)
	close(r.changed)
	r.changed = make(chan struct{})
}

// Follow calls fn for each value with a number above after, as far as they are
// kept, and for each as it comes, until ctx ends or fn fails. A number that was
// never given starts at the beginning.
func (r *Ring[T]) Follow(ctx context.Context, after uint64, fn func(T) error) error {
	for {
		r.mu.Lock()
		if after > r.last {
			after = 0
		}
		if n := uint64(len(r.kept)); r.last > n && after < r.last-n {
			after = r.last - n
		}
		var some []T
		for after < r.last && len(some) < 64 {
			after++
			some = append(some, r.kept[after%uint64(len(r.kept))])
		}
		changed := r.changed
		r.mu.Unlock()
		for _, v := range some {
			if err := fn(v); err != nil {
				return err
			}
		}
		if len(some) > 0 {
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}
