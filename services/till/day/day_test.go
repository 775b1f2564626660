package day

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseAndPrint(t *testing.T) {
	d, err := Parse("2026-11-21")
	require.NoError(t, err)
	require.Equal(t, "2026-11-21", d.String())
	require.Equal(t, "2026年11月21日(土)", d.Japanese())
	for _, bad := range []string{"", "2026-2-3", "2026-02-30", "21-11-2026", "1970-01-01", "2026-11-21T00:00:00Z"} {
		_, err := Parse(bad)
		require.Error(t, err, bad)
	}
}

func TestOfTakesTheZoneOfTheTime(t *testing.T) {
	late := time.Date(2026, 11, 21, 23, 30, 0, 0, time.UTC)
	require.Equal(t, "2026-11-21", Of(late).String())
	require.Equal(t, "2026-11-22", Of(late.In(time.FixedZone("JST", 9*3600))).String())
}

func TestOrder(t *testing.T) {
	days := []string{"2019-09-30", "2019-10-01", "2019-10-02", "2020-01-01"}
	for i := range days {
		for j := range days {
			a, _ := Parse(days[i])
			b, _ := Parse(days[j])
			require.Equal(t, i < j, a.Before(b))
		}
	}
}

func TestJSON(t *testing.T) {
	d, _ := Parse("2026-11-21")
	text, err := json.Marshal(d)
	require.NoError(t, err)
	require.Equal(t, `"2026-11-21"`, string(text))
	var back Date
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, d, back)
	_, err = json.Marshal(Date{})
	require.Error(t, err, "no date is not written")
	require.Error(t, json.Unmarshal([]byte(`"2026-13-01"`), &back))
}

func FuzzParse(f *testing.F) {
	f.Add("2026-11-21")
	f.Add("0000-00-00")
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := Parse(text); err == nil {
			require.Equal(t, text, d.String())
		}
	})
}
