package network

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/choba-os/choba/drivers/dhcp"
	"github.com/choba-os/choba/services/network/api"
)

// The states in words.

func absent() api.State {
	return api.State{State: api.Absent, Text: "有線LANの接続口が見つかりません。販売は続けられます。", TextEn: "No wired network interface was found. Selling goes on."}
}

func noCable() api.State {
	return api.State{State: api.NoCable, Text: "LANケーブルがつながっていません。販売は続けられます。", TextEn: "No network cable is connected. Selling goes on."}
}

func ready(address string) api.State {
	return api.State{State: api.Ready, Address: address, Text: "ネットワークにつながっています。", TextEn: "The network is connected."}
}

func unprotected() api.State {
	return api.State{State: api.Error, Text: "通信の保護を設定できないため、ネットワークを使いません。販売は続けられます。",
		TextEn: "The packet filter cannot be set, so the network is not used. Selling goes on."}
}

// searching says also why it takes long.
func searching(why error) api.State {
	s := api.State{State: api.Searching, Text: "ネットワークのアドレスを取得しています。", TextEn: "Asking for a network address."}
	switch {
	case errors.Is(why, dhcp.ErrNoServer):
		s.Text = "ネットワークのアドレスを取得できません(DHCPサーバーが応答しません)。繰り返し試しています。販売は続けられます。"
		s.TextEn = "No network address yet: no DHCP server answers. It is tried again and again; selling goes on."
	case errors.Is(why, dhcp.ErrAbsurd):
		s.Text = "DHCPサーバーの応答が正しくないため、使いません。繰り返し試しています。販売は続けられます。"
		s.TextEn = "The DHCP server's answer is not usable. It is tried again and again; selling goes on."
	case why != nil:
		s.Text = "ネットワークのアドレスを取得できません。繰り返し試しています。販売は続けられます。"
		s.TextEn = "No network address yet. It is tried again and again; selling goes on."
	}
	return s
}

// Lost is the kind of the event that counts events left out.
const Lost = "network.lost"

// The contents of the journal's events.
type (
	up struct {
		Interface    string   `json:"interface"`
		Address      string   `json:"address"`
		Router       string   `json:"router"`
		Server       string   `json:"server"`
		DNS          []string `json:"dns"`
		LeaseSeconds int      `json:"leaseSeconds"`
		How          string   `json:"how"` // "got" or "renewed" with another address
	}
	down struct {
		Interface string `json:"interface"`
		Why       string `json:"why"` // "no-cable", "lease-over", "refused"
	}
)

func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func texts(list []netip.Addr) []string {
	out := []string{}
	for _, a := range list {
		out = append(out, a.String())
	}
	return out
}

// resolver writes resolv.conf for the services with the machine's network, in one step; with no name server it is
// empty. They run as other users, so everybody may read it.
func (s *Service) resolver(dns []netip.Addr) error {
	var b strings.Builder
	for _, a := range dns {
		fmt.Fprintf(&b, "nameserver %s\n", a)
	}
	path := filepath.Join(s.c.Dir, "resolv.conf")
	next := path + ".new"
	err := os.WriteFile(next, []byte(b.String()), 0o644)
	if err == nil {
		err = os.Chmod(next, 0o644) // whatever the umask
	}
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
