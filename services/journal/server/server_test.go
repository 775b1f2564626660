package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/journal/journaltest"
	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/table"
)

// product is the journal with the rights of the product's own table.
func product(t testing.TB) *journaltest.Journal {
	text, err := os.ReadFile(filepath.Join("..", "..", "table", "table.json"))
	require.NoError(t, err)
	rows, err := table.Parse(text)
	require.NoError(t, err)
	return journaltest.StartWith(t, rows.Kinds)
}

// B04, B05: each service records only what is its own, whatever it says.
func TestWhoMayRecordWhat(t *testing.T) {
	j := product(t)
	for _, c := range []struct {
		caller, kind string
		want         link.Kind
	}{
		{"register", "sale.closed", ""}, {"register", "cash.in", ""}, {"register", "day.closed", ""}, {"register", "drawer.open", ""},
		{"printer", "print.done", ""}, {"printer", "drawer.opened", ""}, {"scanner", "scanner.bad", ""},
		{"ports", "port.refused", ""}, {"init", "boot.begun", ""}, {"init", "exec.refused", ""}, {"init", "service.ended", ""},
		{"printer", "sale.closed", link.Denied}, {"ports", "drawer.open", link.Denied}, {"scanner", "print.done", link.Denied},
		{"register", "journal.session", link.Denied}, {"init", "journal.session", link.Denied}, {"register", "boot.begun", link.Denied},
		{"register", "saleclosed.x", link.Denied}, {"screen", "sale.closed", link.Denied},
		{"nobody", "sale.closed", link.Denied}, {"journal", "journal.session", link.Denied},
		{"register", "sale", link.BadRequest}, {"register", "", link.BadRequest}, {"register", "SALE.closed", link.BadRequest},
	} {
		_, err := j.Client(c.caller).Append(context.Background(), api.Event{Kind: c.kind})
		require.Equal(t, c.want, link.KindOf(err), "%s records %s: %v", c.caller, c.kind, err)
	}
	for caller, want := range map[string]int{"register": 6, "printer": 3, "scanner": 1, "ports": 1, "init": 3, "screen": 0, "nobody": 0} {
		n := 0
		require.NoError(t, j.Client(caller).Read(context.Background(), 0, func(e api.Entry) error { n++; return nil }))
		require.Equal(t, want, n, "%s sees its own kinds only", caller)
	}
}

// C18: every entry says who, what, when, where, on which device, and under which head.
func TestAnEntrySaysWhoWhatWhenWhere(t *testing.T) {
	j := product(t)
	c := j.Client("register")
	p, err := c.Append(context.Background(), api.Event{Kind: "cash.in", Person: "0012", Approver: "0003", Device: "printer/1", Content: []byte(`{"amount":500,"result":"done"}`)})
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(p.Entry, &fields))
	for _, name := range []string{"seq", "wall", "mono", "boot", "service", "kind", "person", "approver", "device", "content"} {
		require.NotEmpty(t, fields[name], name)
	}
	require.Contains(t, p.Checkpoint, "\n— ")
	head, err := c.Head(context.Background())
	require.NoError(t, err)
	require.Equal(t, p.Checkpoint, head)
}

func TestWhatIsTurnedAway(t *testing.T) {
	j := journaltest.Start(t)
	c := j.Client("register")
	for name, v := range map[string]api.Event{
		"card in content":  {Kind: "sale.tender", Content: []byte(`{"ref":"4111 1111 1111 1111"}`)},
		"card in person":   {Kind: "sale.tender", Person: "4111111111111111"},
		"card in approver": {Kind: "sale.tender", Approver: "4111111111111111"},
		"card in device":   {Kind: "sale.tender", Device: "4111111111111111"},
		"card in kind":     {Kind: "sale.t4111111111111111"},
		"no object":        {Kind: "sale.tender", Content: []byte(`7`)},
		"too large":        {Kind: "sale.tender", Content: []byte(`{"a":"` + strings.Repeat("x", 64<<10) + `"}`)},
		"far too large":    {Kind: "sale.tender", Content: []byte(`{"a":"` + strings.Repeat("x", 2<<20) + `"}`)},
		"long person":      {Kind: "sale.tender", Person: strings.Repeat("あ", 65)},
	} {
		_, err := c.Append(context.Background(), v)
		require.Equal(t, link.BadRequest, link.KindOf(err), "%s: %v", name, err)
		require.NotContains(t, err.Error(), "4111")
	}
	require.NoError(t, c.Read(context.Background(), 0, func(e api.Entry) error { t.Errorf("recorded: %+v", e); return nil }))
	_, err := c.Append(context.Background(), api.Event{Kind: "sale.line", Content: []byte(`{"code":"4901234567894"}`)})
	require.NoError(t, err)
}

func TestProofsAreOfOnesOwnEntries(t *testing.T) {
	j := product(t)
	p, err := j.Client("register").Append(context.Background(), api.Event{Kind: "sale.closed"})
	require.NoError(t, err)
	got, err := j.Client("register").Prove(context.Background(), p.Index)
	require.NoError(t, err)
	require.Equal(t, p, got)
	for _, seq := range []uint64{0, 1, p.Index, p.Index + 1, 1 << 40} {
		_, err := j.Client("printer").Prove(context.Background(), seq)
		require.Equal(t, link.NotFound, link.KindOf(err), "%d: %v", seq, err)
	}
}

func TestStrangers(t *testing.T) {
	j := journaltest.Start(t)
	c := j.Client("")
	_, err := c.Append(context.Background(), api.Event{Kind: "sale.closed"})
	require.Equal(t, link.Denied, link.KindOf(err))
	_, err = c.Key(context.Background())
	require.Equal(t, link.Denied, link.KindOf(err))
	_, err = c.Head(context.Background())
	require.Equal(t, link.Denied, link.KindOf(err))
	_, err = c.Prove(context.Background(), 0)
	require.Equal(t, link.Denied, link.KindOf(err))
	require.Equal(t, link.Denied, link.KindOf(c.Read(context.Background(), 0, func(api.Entry) error { return nil })))
}

// ask sends one raw request as the named caller.
func ask(t testing.TB, j *journaltest.Journal, method, path, body string) *http.Response {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", j.Socket("register"))
	}}}
	r, err := http.NewRequest(method, "http://journal"+path, strings.NewReader(body))
	require.NoError(t, err)
	a, err := client.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { a.Body.Close() })
	return a
}

func TestRawRequests(t *testing.T) {
	j := journaltest.Start(t)
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "/v1/append", `{"kind":"sale.a"}`, 200},
		{"POST", "/v1/append", `{"kind":"sale.a","content":null}`, 200},
		{"POST", "/v1/append", `{"kind":"sale.a","service":"init"}`, 400},
		{"POST", "/v1/append", `{"kind":"sale.a"} {}`, 400},
		{"POST", "/v1/append", `[]`, 400},
		{"POST", "/v1/append", ``, 400},
		{"POST", "/v1/append", `{"kind":"sale.a","content":{"a":1,"a":2}}`, 400},
		{"GET", "/v1/append", ``, 405},
		{"GET", "/v1/entries", ``, 400},
		{"GET", "/v1/entries?from=-1", ``, 400},
		{"GET", "/v1/entries?from=9999999999999999999999", ``, 400},
		{"GET", "/v1/proof?seq=x", ``, 400},
		{"DELETE", "/v1/entries?from=0", ``, 405},
		{"GET", "/v1/nothing", ``, 404},
	} {
		a := ask(t, j, c.method, c.path, c.body)
		require.Equal(t, c.want, a.StatusCode, "%s %s %s", c.method, c.path, c.body)
	}
}

// Whatever comes in as a body, the journal answers and goes on; and what it took it gives back with a proof.
func FuzzAppend(f *testing.F) {
	j := journaltest.Start(f)
	c := j.Client("register")
	f.Add([]byte(`{"kind":"sale.a","person":"x","content":{"a":["\u003c",1e5]}}`))
	f.Add([]byte(`{"kind":"sale.a","content":{"a":1,"a":2}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		a := ask(t, j, "POST", "/v1/append", string(body))
		if a.StatusCode != http.StatusOK {
			require.Contains(t, []int{400, 403}, a.StatusCode)
			return
		}
		var p api.Proof
		var text bytes.Buffer
		_, err := text.ReadFrom(a.Body)
		require.NoError(t, err)
		require.NoError(t, link.Decode(text.Bytes(), &p))
		key, err := c.Key(context.Background())
		require.NoError(t, err)
		_, err = api.Check(key, p)
		require.NoError(t, err)
	})
}
