// Package plan is a list of named steps that can be printed before it is run.
//
// It is not a scheduler, decides nothing and logs nothing; what recovery does, in which order, is
// written once, and a test compares the printed list with a golden file.
//
// The rule that keeps it small: steps run one after the other, and the first
// error ends the plan.
package plan

import (
	"fmt"
	"strings"
)

// Step is one thing to do, named for people.
type Step struct {
	Name string
	Do   func() error
}

// Plan is a titled list of steps.
type Plan struct {
	Title string
	Steps []Step
}

// Run does the steps in order. An error carries the name of its step.
func (p Plan) Run() error {
	for _, s := range p.Steps {
		if err := s.Do(); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return nil
}

// String prints the plan: its title, then one indented line for each step.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", p.Title)
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "  %s\n", s.Name)
	}
	return b.String()
}
