package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/choba-os/choba/tests/bench"
)

// marks are the points of a boot, by what the console shows.
var marks = []struct{ name, line string }{
	{"firmware: device selection", `BdsDxe: (loading|starting)`},
	{"recovery starts", `choba-recovery: start`},
	{"recovery switches", `choba-recovery: switch to slot`},
	{"init starts", `choba-init: start`},
	{"ready to sell", `choba-init: ready to sell.*`},
	{"screen painted", `screen: painted`},
}

// boot measures from QEMU's start to the painted screen, on a disk that has
// booted once before (the first boot makes the data partition), then sizes and
// resident memory.
func boot(ctx context.Context, o options, out io.Writer) error {
	dir, err := os.MkdirTemp("", "choba-boot")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r, err := bench.NewRegister(bench.Config{Dir: filepath.Join(dir, "m"), Disk: filepath.Join(o.image, "disk.img"), Vars: filepath.Join(o.image, "vars.fd")})
	if err != nil {
		return err
	}
	first, err := once(ctx, r)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "first boot, makes the data partition: painted after %.1f s\n", first[len(marks)-1].Seconds())
	var all [][]time.Duration
	for range o.runs {
		t, err := once(ctx, r)
		if err != nil {
			return err
		}
		all = append(all, t)
	}
	fmt.Fprintf(out, "%d boots, seconds since QEMU's start (median, and the step before it):\n", o.runs)
	var before float64
	for i, m := range marks {
		s := median(all, i).Seconds()
		fmt.Fprintf(out, "  %-28s %6.2f  %+6.2f\n", m.name, s, s-before)
		before = s
	}
	stages(all, out)
	if err := sizes(o, out); err != nil {
		return err
	}
	return memory(ctx, o, dir, out)
}

// stages sums the boot up as design section 11 asks: the kernel's own clock,
// which init prints, says when the kernel began.
func stages(all [][]time.Duration, out io.Writer) {
	init, ready := median(all, initStarts), median(all, readyToSell)
	kernel := median(all, kernelBegan)
	fmt.Fprintf(out, "firmware to kernel %.2f s, kernel to init %.2f s, init to ready to sell %.2f s\n",
		kernel.Seconds(), (init - kernel).Seconds(), (ready - init).Seconds())
}

// Places in what once returns: the marks in their order, then the kernel's begin.
const (
	initStarts  = 3
	readyToSell = 4
	kernelBegan = 6
)

var sinceBoot = regexp.MustCompile(`choba-init: start, ([0-9.]+) s since boot`)

// once boots and returns when each mark was seen, and when the kernel began.
func once(ctx context.Context, r *bench.Register) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	defer r.Cut()
	if err := r.Start(ctx); err != nil {
		return nil, err
	}
	var out []time.Duration
	for _, m := range marks {
		if _, err := r.Wait(ctx, m.line); err != nil {
			return nil, err
		}
		out = append(out, r.Since())
	}
	m := sinceBoot.FindStringSubmatch(r.Text())
	if m == nil {
		return nil, fmt.Errorf("reading the kernel's clock: init did not print it")
	}
	s, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return nil, fmt.Errorf("reading the kernel's clock: %w", err)
	}
	return append(out, out[initStarts]-time.Duration(s*float64(time.Second))), nil
}

func median(all [][]time.Duration, i int) time.Duration {
	var v []time.Duration
	for _, t := range all {
		v = append(v, t[i])
	}
	sort.Slice(v, func(a, b int) bool { return v[a] < v[b] })
	return v[len(v)/2]
}

func sizes(o options, out io.Writer) error {
	for _, name := range []string{"boot.efi", "release.choba"} {
		st, err := os.Stat(filepath.Join(o.image, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%-16s %6.1f MiB\n", name, float64(st.Size())/(1<<20))
	}
	return nil
}

var process = regexp.MustCompile(`probe: process exe=(\S+) args=(\S*) .*rss=(\d+)kB files=(\d+)`)

// memory boots the image with the probe and adds up what the processes hold.
func memory(ctx context.Context, o options, dir string, out io.Writer) error {
	if _, err := os.Stat(filepath.Join(o.probe, "disk.img")); err != nil {
		fmt.Fprintln(out, "resident memory: not measured, no image with the probe")
		return nil
	}
	r, err := bench.NewRegister(bench.Config{Dir: filepath.Join(dir, "p"), Disk: filepath.Join(o.probe, "disk.img"), Vars: filepath.Join(o.probe, "vars.fd")})
	if err != nil {
		return err
	}
	defer r.Cut()
	if err := r.Start(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if _, err := r.Wait(ctx, `probe: end`); err != nil {
		return err
	}
	sum := 0
	fmt.Fprintln(out, "resident memory, shared pages counted in each:")
	for _, m := range process.FindAllStringSubmatch(r.Text(), -1) {
		kib, err := strconv.Atoi(m[3])
		if err != nil || strings.Contains(m[1], "probe") {
			continue
		}
		sum += kib
		fmt.Fprintf(out, "  %-16s %-8s %6.1f MiB  %s files\n", m[1], m[2], float64(kib)/1024, m[4])
	}
	fmt.Fprintf(out, "  %-25s %6.1f MiB\n", "all", float64(sum)/1024)
	return nil
}
