package act

import "github.com/choba-os/choba/image/slot"

// Forgive gives slots that only missed ready too often one boot more, so that a person
// who switches the register off and on has it tried again (slot.Forgive). It is done
// when nothing could be redeployed, or before a person restarts the register.
func (a *Actor) Forgive() error {
	rec, _, err := slot.Load(a.m.Register.State)
	if err != nil {
		return nil // a lost record refuses nobody
	}
	rec, changed := slot.Forgive(rec)
	if !changed {
		return nil
	}
	return slot.Store(a.m.Register.State, rec)
}
