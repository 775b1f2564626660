// Package seccomp makes the list of system calls that a service may use, and the kernel's filter program for it.
//
// The list is written for static Go programs (no cgo, no interpreter, no child processes): what the Go run-time, its
// net and os packages and our services call. What is not on it answers EPERM, as if a right were missing; what no
// honest service ever calls ends the process at once, so that the attempt leaves a service.exit in the journal.
//
// It is not a general library: one architecture (amd64), one list, a few groups. The rule that keeps it small: a call
// comes onto the list when a service needs it and a reader can say why; arguments are looked at only where the call
// without them would be too much.
package seccomp

import (
	"fmt"
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Verdict is what the filter answers.
type Verdict uint32

const (
	Kill  Verdict = 0x80000000                        // SECCOMP_RET_KILL_PROCESS
	Deny  Verdict = 0x00050000 | Verdict(unix.EPERM)  // SECCOMP_RET_ERRNO
	NoSys Verdict = 0x00050000 | Verdict(unix.ENOSYS) // the caller has an older way
	Allow Verdict = 0x7fff0000                        // SECCOMP_RET_ALLOW
)

// Rule is one system call. With When, the verdict holds only if one of the cases does; if none does, the answer is Deny.
type Rule struct {
	Name    string
	Nr      uint32
	Verdict Verdict
	Arg     int // index of the argument that When looks at, 0 … 5
	When    []Case
}

// Case holds when the argument's low 32 bits, masked, have this value.
type Case struct {
	Mask, Value uint32
	Says        string
}

// Rules is the list for a service with these groups, sorted by number. An unknown group is an error.
func Rules(groups []string) ([]Rule, error) {
	rules := append(base(), hostile()...)
	for _, name := range groups {
		extend, known := groupRules()[name]
		if !known {
			return nil, fmt.Errorf("system call group %q is not known", name)
		}
		for _, r := range extend {
			rules = merge(rules, r)
		}
	}
	slices.SortFunc(rules, func(a, b Rule) int { return int(a.Nr) - int(b.Nr) })
	for i := 1; i < len(rules); i++ {
		if rules[i].Nr == rules[i-1].Nr {
			return nil, fmt.Errorf("system call %s is listed twice", rules[i].Name)
		}
	}
	return rules, nil
}

// merge adds r to the list: its cases to those that the call has already, or the call as it is.
func merge(rules []Rule, r Rule) []Rule {
	for i, old := range rules {
		if old.Nr != r.Nr {
			continue
		}
		if len(old.When) > 0 && len(r.When) > 0 {
			rules[i].When = append(slices.Clone(old.When), r.When...)
		} else {
			rules[i] = r // the whole call, in place of some of its cases or of a refusal
		}
		return rules
	}
	return append(rules, r)
}

// Offsets in struct seccomp_data.
const (
	offNr   = 0
	offArch = 4
	offArgs = 16
	archX86 = 0xc000003e // AUDIT_ARCH_X86_64
	x32     = 0x40000000 // the x32 calls' bit: not ours
)

// Program is the filter for the rules.
func Program(rules []Rule) []bpf.Instruction {
	p := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: archX86, SkipTrue: 1},
		bpf.RetConstant{Val: uint32(Kill)},
		bpf.LoadAbsolute{Off: offNr, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: x32, SkipFalse: 1},
		bpf.RetConstant{Val: uint32(Kill)},
	}
	for _, r := range rules {
		body := r.body()
		p = append(p, bpf.JumpIf{Cond: bpf.JumpEqual, Val: r.Nr, SkipFalse: uint8(len(body))})
		p = append(p, body...)
	}
	return append(p, bpf.RetConstant{Val: uint32(Deny)})
}

// body answers for a call whose number was recognised. It always returns, so that the number need not be loaded again.
func (r Rule) body() []bpf.Instruction {
	if len(r.When) == 0 {
		return []bpf.Instruction{bpf.RetConstant{Val: uint32(r.Verdict)}}
	}
	var p []bpf.Instruction
	for _, c := range r.When {
		p = append(p,
			bpf.LoadAbsolute{Off: uint32(offArgs + 8*r.Arg), Size: 4},
			bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: c.Mask},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: c.Value, SkipFalse: 1},
			bpf.RetConstant{Val: uint32(r.Verdict)})
	}
	return append(p, bpf.RetConstant{Val: uint32(Deny)})
}

// String is the rule as a person reads it.
func (r Rule) String() string {
	s := r.Name
	switch r.Verdict {
	case Kill:
		s += " ends the process"
	case NoSys:
		s += " is not there"
	}
	for i, c := range r.When {
		if i == 0 {
			s += " only for "
		} else {
			s += ", "
		}
		s += c.Says
	}
	return s
}
