package journaltest_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/journal/journaltest"
)

func TestRecordCheckReadRestart(t *testing.T) {
	ctx := context.Background()
	j := journaltest.Start(t)
	c := j.Client("register")
	p, err := c.Append(ctx, api.Event{Kind: "sale.opened", Person: "0012", Content: []byte(`{ "note": "<&> \u2028 お茶" }`)})
	require.NoError(t, err)
	key, err := c.Key(ctx)
	require.NoError(t, err)
	e, err := api.Check(key, p)
	require.NoError(t, err)
	require.Equal(t, "sale.opened", e.Kind)
	require.Equal(t, "register", e.Service)
	require.Equal(t, "0012", e.Person)

	j.Restart()
	again, err := c.Key(ctx)
	require.NoError(t, err)
	require.NotEqual(t, key, again)
	_, err = api.Check(again, p)
	require.Error(t, err, "a proof from before the restart is under an older key")
	p, err = c.Prove(ctx, e.Seq)
	require.NoError(t, err)
	same, err := api.Check(again, p)
	require.NoError(t, err)
	require.Equal(t, e, same)

	var seen []api.Entry
	require.NoError(t, c.Read(ctx, 0, func(e api.Entry) error { seen = append(seen, e); return nil }))
	require.Equal(t, []api.Entry{e}, seen)
}
