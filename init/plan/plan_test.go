package plan

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	var ran []string
	broken := errors.New("broken")
	step := func(name string, need Need, err error) Step {
		return Step{name, need, func(context.Context) error { ran = append(ran, name); return err }}
	}
	var told []string
	done := func(s Step, _ time.Duration, err error) {
		if err != nil {
			told = append(told, s.Name)
		}
	}
	p := Plan{
		step("mount", Needed, nil), step("clock", Useful, broken), step("unseal", Needed, broken),
		step("close", Always, broken), step("start", Needed, nil), step("shine", Useful, nil),
	}
	err := p.Run(t.Context(), done)
	require.ErrorIs(t, err, broken)
	require.EqualError(t, err, "unseal: broken")
	require.Equal(t, []string{"mount", "clock", "unseal", "close"}, ran)
	require.Equal(t, []string{"clock", "unseal", "close"}, told)

	ran = nil
	require.EqualError(t, Plan{step("close", Always, broken), step("start", Needed, nil)}.Run(t.Context(), done), "close: broken")
	require.Equal(t, []string{"close"}, ran, "an open door is a reason to stop")
	require.NoError(t, Plan{step("a", Needed, nil), step("b", Useful, broken)}.Run(t.Context(), done))
	require.Equal(t, " 1  needed  mount\n 2  useful  clock\n", p[:2].String())
}
