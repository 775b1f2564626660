package api_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/choba-os/choba/services/journal/api"
	"github.com/choba-os/choba/services/journal/checkpoint"
	"github.com/choba-os/choba/services/journal/entry"
	"github.com/choba-os/choba/services/journal/tree"
)

const origin = "choba/34750f98bd59fcfc/01020304"

func signer(t testing.TB, name string) *checkpoint.Signer {
	s, err := checkpoint.NewSigner(name, make([]byte, checkpoint.SeedSize))
	require.NoError(t, err)
	return s
}

// proof is of entry 2 in a log of 5, made without the store.
func proof(t testing.TB, seq uint64, name string) api.Proof {
	var edge tree.Edge
	list := tree.NewList(nil, 0)
	var text []byte
	for i := range uint64(5) {
		v, err := api.Event{Kind: "drawer.open", Person: "0012", Content: []byte(`{"command":"a<b"}`)}.Normal()
		require.NoError(t, err)
		n := i
		if i == 2 {
			n = seq
		}
		body, err := entry.Encode(entry.Entry{Seq: n, Boot: "b", Service: "register", Event: v})
		require.NoError(t, err)
		if i == 2 {
			text = body
		}
		next, added := edge.Append(tlog.RecordHash(body))
		edge = next
		list.Append(added...)
	}
	path, err := tlog.ProveRecord(5, 2, list)
	require.NoError(t, err)
	signed, err := checkpoint.Sign(checkpoint.Tree{Origin: name, Size: 5, Root: edge.Root()}, signer(t, name))
	require.NoError(t, err)
	p := api.Proof{Entry: text, Index: 2, Size: 5, Checkpoint: string(signed)}
	for _, h := range path {
		p.Path = append(p.Path, h[:])
	}
	return p
}

func TestCheck(t *testing.T) {
	key := signer(t, origin).Public
	p := proof(t, 2, origin)
	wire, err := json.Marshal(p)
	require.NoError(t, err)
	var back api.Proof
	require.NoError(t, json.Unmarshal(wire, &back))
	require.Equal(t, p, back, "the entry's bytes pass through JSON as they are")
	e, err := api.Check(key, back)
	require.NoError(t, err)
	require.EqualValues(t, 2, e.Seq)
	require.Equal(t, `{"command":"a\u003cb"}`, string(e.Content))

	for name, change := range map[string]func(*api.Proof){
		"other entry":      func(p *api.Proof) { p.Entry = append([]byte(nil), p.Entry...); p.Entry[60] ^= 1 },
		"no entry":         func(p *api.Proof) { p.Entry = nil },
		"other index":      func(p *api.Proof) { p.Index = 3 },
		"index behind":     func(p *api.Proof) { p.Index = 5 },
		"other size":       func(p *api.Proof) { p.Size = 6 },
		"absurd size":      func(p *api.Proof) { p.Size = 1 << 63; p.Index = 1<<63 - 1 },
		"short path":       func(p *api.Proof) { p.Path = p.Path[1:] },
		"long path":        func(p *api.Proof) { p.Path = append(p.Path, p.Path[0]) },
		"endless path":     func(p *api.Proof) { p.Path = make([][]byte, 100000) },
		"short hash":       func(p *api.Proof) { p.Path[0] = p.Path[0][1:] },
		"no checkpoint":    func(p *api.Proof) { p.Checkpoint = "" },
		"other checkpoint": func(p *api.Proof) { p.Checkpoint = proof(t, 9, origin).Checkpoint },
	} {
		bad := proof(t, 2, origin)
		change(&bad)
		_, err := api.Check(key, bad)
		require.Error(t, err, name)
	}
	_, err = api.Check("rubbish", p)
	require.Error(t, err)
	_, err = api.Check(signer(t, "other").Public, p)
	require.Error(t, err, "another log's key")
	_, err = api.Check(key, proof(t, 9, origin))
	require.ErrorContains(t, err, "entry 9 stands at place 2")
}

// The drawer driver acts on a proof: whatever one byte of it is, it is this entry or none.
func TestEveryOneByteChangeOfAProof(t *testing.T) {
	key := signer(t, origin).Public
	p := proof(t, 2, origin)
	want, err := api.Check(key, p)
	require.NoError(t, err)
	wire, err := json.Marshal(p)
	require.NoError(t, err)
	for i := range wire {
		bad := append([]byte(nil), wire...)
		bad[i] ^= 1 << (i % 8)
		var q api.Proof
		if json.Unmarshal(bad, &q) != nil || reflect.DeepEqual(p, q) {
			continue // refused, or only another way to write the same
		}
		if got, err := api.Check(key, q); err == nil {
			require.Equal(t, want, got, "byte %d", i)
			require.Equal(t, p.Entry, q.Entry)
		}
	}
}

func FuzzCheck(f *testing.F) {
	key := signer(f, origin).Public
	wire, err := json.Marshal(proof(f, 2, origin))
	require.NoError(f, err)
	f.Add(key, wire)
	want, err := api.Check(key, proof(f, 2, origin))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, vkey string, wire []byte) {
		var p api.Proof
		if json.Unmarshal(wire, &p) != nil {
			return
		}
		api.Check(vkey, p)
		if got, err := api.Check(key, p); err == nil {
			require.Equal(t, want, got)
		}
	})
}
