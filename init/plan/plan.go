// Package plan is a list of named steps, to be printed and to be run.
//
// It decides nothing but what a failure means: a needed step ends the plan, a useful one is said and passed over, and
// a step marked always runs even behind a failure (the TPM's door must be closed whatever happened before it).
//
// It is not a supervisor: a plan runs once, from the top. The rule that keeps it small: no branches, no loops; what
// depends on something is decided inside a step.
package plan

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Need says what a step's failure means.
type Need string

const (
	Needed Need = "needed" // the plan ends
	Useful Need = "useful" // it is said, and the plan goes on
	Always Need = "always" // needed, and run even when an earlier step failed
)

// Step is one thing to do.
type Step struct {
	Name string // "verb object", as a person reads it on the console
	Need Need
	Do   func(context.Context) error
}

// Plan is steps in their order.
type Plan []Step

// String prints the plan, one step a line.
func (p Plan) String() string {
	var b strings.Builder
	for i, s := range p {
		fmt.Fprintf(&b, "%2d  %-6s  %s\n", i+1, s.Need, s.Name)
	}
	return b.String()
}

// Run does the steps. done is told about each one that ran, how long it took and its error. The first error of a
// needed step is returned, with the step's name.
func (p Plan) Run(ctx context.Context, done func(s Step, took time.Duration, err error)) error {
	var failed error
	for _, s := range p {
		if failed != nil && s.Need != Always {
			continue
		}
		began := time.Now()
		err := s.Do(ctx)
		done(s, time.Since(began), err)
		if err != nil && s.Need != Useful && failed == nil {
			failed = fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return failed
}
