package plan

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlan(t *testing.T) {
	var done []string
	step := func(name string, err error) Step {
		return Step{name, func() error { done = append(done, name); return err }}
	}
	odd := errors.New("odd")
	p := Plan{"breakfast", []Step{step("boil", nil), step("pour", odd), step("drink", nil)}}
	require.Equal(t, "breakfast\n  boil\n  pour\n  drink\n", p.String())
	err := p.Run()
	require.ErrorIs(t, err, odd)
	require.EqualError(t, err, "pour: odd")
	require.Equal(t, []string{"boil", "pour"}, done)
	require.NoError(t, Plan{}.Run())
}
