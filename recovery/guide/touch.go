package guide

import (
	"net/netip"
	"strings"

	"github.com/choba-os/choba/keys/escrow"
	"github.com/choba-os/choba/recovery/act"
	"github.com/choba-os/choba/recovery/face"
	"github.com/choba-os/choba/recovery/redeploy"
)

// Names of the buttons.
const (
	idNow      = "now"
	idMenu     = "menu"
	idBack     = "back"
	idStop     = "stop"
	idAuto     = "auto"
	idSources  = "sources"
	idSelfTest = "selftest"
	idNetwork  = "network"
	idExport   = "export"
	idRebind   = "rebind"
	idReset    = "reset"
	idRestart  = "restart"
	idDHCP     = "dhcp"
	idTyped    = "typed"
	idDone     = "done"
	idSkip     = "skip"
	idYes      = "yes"
	idCode     = "code"
	idLetter   = "letter"
	idColours  = "colours"
	idEcho     = "echo"
	idFrom     = "from:"
)

// Touch is a finger lifted over a button, or a key that stands for one.
func (g *Guide) Touch(id string) Effect {
	g.idle = 0
	if key, ok := strings.CutPrefix(id, face.KeyPrefix); ok {
		g.key(key)
		return Effect{}
	}
	if kind, ok := strings.CutPrefix(id, idFrom); ok && g.at == sources {
		return g.start(act.Request{Action: act.Redeploy, From: []redeploy.Kind{redeploy.Kind(kind)}, Anew: true}, false)
	}
	switch id {
	case face.Anywhere, "":
		return g.Wake()
	case idMenu:
		g.open(menu)
		return Effect{}
	case idBack:
		g.back()
		return Effect{}
	}
	return g.touch(id)
}

// open goes to a page where nothing was typed yet.
func (g *Guide) open(p place) { g.at, g.typed = p, "" }

// back leads one page up.
func (g *Guide) back() {
	switch g.at {
	case netGateway:
		g.open(netAddress)
	case netDNS:
		g.open(netGateway)
	case netAddress:
		g.open(netChoice)
	case resetAsk:
		g.open(ticketAsk)
	case code:
		g.open(rebindAsk)
	case echo, colours:
		g.open(reported)
	case working: // only Stop leaves it
	default:
		g.open(menu)
	}
}

func (g *Guide) touch(id string) Effect {
	switch g.at {
	case stopped, waiting:
		if id == idNow {
			if g.at == waiting {
				return g.start(again(), true)
			}
			if g.facts.beyond() {
				return Effect{Restart: true}
			}
			return g.start(Automatic(), true)
		}
		if id == idRebind && g.at == stopped && g.facts.keyShut() {
			g.open(rebindAsk)
			return Effect{}
		}
		return g.Wake()
	case menu:
		return g.choose(id)
	case working:
		if id == idStop && g.canStop() {
			g.automatic = false // a person is there: the report waits to be read
			return Effect{Stop: true}
		}
	case restart:
		if id == idRestart {
			return Effect{Restart: true}
		}
	case reported:
		switch id {
		case idColours:
			g.at, g.fill = colours, 0
		case idEcho:
			g.at, g.dots, g.keys = echo, nil, ""
		}
	case netChoice, netAddress, netGateway, netDNS:
		return g.netTouch(id)
	case exportAsk:
		if id == idYes {
			return g.start(act.Request{Action: act.Export}, false)
		}
	case rebindAsk:
		switch id {
		case idCode:
			g.open(code)
		case idLetter:
			return g.start(act.Request{Action: act.Export, Letter: true}, false)
		}
	case code:
		if id == idDone && g.valid() {
			return g.start(act.Request{Action: act.Rebind, Code: g.typed}, false)
		}
	case ticketAsk:
		if id == idReset {
			g.open(resetAsk)
		}
	case resetAsk:
		if id == idYes {
			return g.start(act.Request{Action: act.Reset}, false)
		}
	}
	return Effect{}
}

// choose is a touch in the menu.
func (g *Guide) choose(id string) Effect {
	switch id {
	case idAuto:
		return g.start(act.Request{Action: act.Redeploy, From: redeploy.Order()}, false)
	case idSources:
		g.open(sources)
	case idSelfTest:
		return g.start(act.Request{Action: act.SelfTest}, false)
	case idNetwork:
		g.open(netChoice)
	case idExport:
		g.open(exportAsk)
	case idRebind:
		g.open(rebindAsk)
	case idReset:
		g.open(ticketAsk)
	case idRestart:
		return Effect{Restart: true}
	}
	return Effect{}
}

// canStop: what changes keys runs to its end, which takes a moment.
func (g *Guide) canStop() bool {
	return g.running != nil && g.running.Action != act.Rebind && g.running.Action != act.Reset
}

func (g *Guide) netTouch(id string) Effect {
	switch {
	case g.at == netChoice && id == idDHCP:
		return g.start(act.Request{Action: act.Network}, false)
	case g.at == netChoice && id == idTyped:
		g.setup = act.Setup{}
		g.open(netAddress)
	case g.at == netAddress && id == idDone && g.valid():
		g.setup.Address, _ = netip.ParsePrefix(g.typed)
		g.open(netGateway)
	case (g.at == netGateway || g.at == netDNS) && (id == idDone && g.valid() || id == idSkip):
		a, _ := netip.ParseAddr(g.typed)
		if id == idSkip {
			a = netip.Addr{}
		}
		if g.at == netGateway {
			g.setup.Gateway = a
			g.open(netDNS)
			return Effect{}
		}
		g.setup.DNS = a
		return g.start(act.Request{Action: act.Network, Setup: g.setup}, false)
	}
	return Effect{}
}

// valid says whether what was typed can be meant.
func (g *Guide) valid() bool {
	switch g.at {
	case netAddress:
		p, err := netip.ParsePrefix(g.typed)
		return err == nil && p.Addr().Is4() && p.Bits() >= 8 && p.Bits() <= 30 && usable(p.Addr())
	case netGateway, netDNS:
		a, err := netip.ParseAddr(g.typed)
		return err == nil && a.Is4() && usable(a)
	case code:
		_, err := escrow.ParseCode(g.typed)
		return err == nil
	}
	return false
}

func usable(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast()
}

// wrong is the group of a code that was typed wrongly, from 1; 0 = none.
func wrong(typed string) int {
	for i := 0; (i+1)*escrow.GroupDigits <= len(typed); i++ {
		if escrow.CheckGroup(typed[i*escrow.GroupDigits:][:escrow.GroupDigits]) != nil {
			return i + 1
		}
	}
	return 0
}

// key is a key of the keypad, or of a keyboard.
func (g *Guide) key(k string) {
	f := g.field()
	if f == nil {
		return
	}
	switch k {
	case "back":
		g.typed = g.typed[:max(len(g.typed)-1, 0)]
		return
	case "clear":
		g.typed = ""
		return
	}
	most := 18
	if f.Groups > 0 {
		most = f.Groups * f.Size
	}
	if len(k) == 1 && strings.Contains(f.Keys, k) && len(g.typed) < most {
		g.typed += k
	}
}
