package clock

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	var never time.Time
	now := Earliest().AddDate(0, 1, 0)
	require.NoError(t, Check(now, never))
	require.NoError(t, Check(now, now.Add(-time.Hour)))
	require.NoError(t, Check(now, now.Add(30*time.Second)), "a little back is a clock that was set")
	require.ErrorContains(t, Check(now, now.Add(time.Hour)), "was already seen")
	require.ErrorContains(t, Check(time.Unix(0, 0), never), "before this software was written")
	require.ErrorContains(t, Check(now.AddDate(40, 0, 0), never), "too far away")
}
