// Package filter is the register's packet filter: who may speak over the shop's cable, and that nobody may speak to the
// register first.
//
// Policy is made of values, printed and set from the same rules. Both directions begin with "drop": nothing comes in
// but answers, nothing goes out but what the services with the machine's network send. IPv6 is dropped whole, in both
// directions. Address requests (DHCP) do not meet the filter: they travel over a packet socket, below it, which only
// the network service may open.
//
// It is not a firewall for people to configure, and it knows no addresses: which server is asked is the update
// service's matter, and whether to believe the answer is settled by signatures. The rule that keeps it small: a rule
// exists because a service of the table needs it.
package filter

import (
	"fmt"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Client is a service that may begin to speak: over TCP, and to name servers over UDP.
type Client struct {
	Name string
	UID  uint32
}

// Policy is the whole filter.
type Policy struct{ Chains []Chain }

// Chain is what happens to packets of one direction; what no rule names is dropped.
type Chain struct {
	Name  string
	Rules []Rule
	hook  *nftables.ChainHook
}

// Rule is one rule, in words (the language of nft, and why) and as the kernel takes it.
type Rule struct {
	Text, Why string
	exprs     []expr.Any
}

// tableName is the filter's one table.
const tableName = "choba"

// dnsPort is where name servers answer.
const dnsPort = 53

// Of is the filter that lets these services out.
func Of(clients []Client) Policy {
	in := Chain{Name: "input", hook: nftables.ChainHookInput, Rules: []Rule{
		noIPv6(),
		{"icmp type redirect drop", "nobody bends the register's routes", join(proto(unix.IPPROTO_ICMP), firstByte(icmpRedirect), verdict(expr.VerdictDrop))},
		answers(),
	}}
	out := Chain{Name: "output", hook: nftables.ChainHookOutput, Rules: []Rule{noIPv6(), answers()}}
	for _, c := range clients {
		out.Rules = append(out.Rules,
			Rule{fmt.Sprintf("meta skuid %d meta l4proto tcp accept", c.UID), "the " + c.Name + " service, to its server",
				join(user(c.UID), proto(unix.IPPROTO_TCP), verdict(expr.VerdictAccept))},
			Rule{fmt.Sprintf("meta skuid %d udp dport %d accept", c.UID, dnsPort), "the " + c.Name + " service asks for its server's address",
				join(user(c.UID), proto(unix.IPPROTO_UDP), port(dnsPort), verdict(expr.VerdictAccept))})
	}
	out.Rules = append(out.Rules, Rule{"reject with icmpx admin-prohibited", "who asks hears it at once, instead of waiting",
		[]expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED}}})
	return Policy{[]Chain{in, {Name: "forward", hook: nftables.ChainHookForward}, out}}
}

const icmpRedirect = 5

func noIPv6() Rule {
	return Rule{"meta nfproto ipv6 drop", "no service speaks IPv6", join(
		[]expr.Any{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, is(unix.NFPROTO_IPV6)}, verdict(expr.VerdictDrop))}
}

func answers() Rule {
	return Rule{"ct state established,related accept", "answers, and errors about them", join([]expr.Any{
		&expr.Ct{Register: 1, Key: expr.CtKeySTATE},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)}}, verdict(expr.VerdictAccept))}
}

func join(parts ...[]expr.Any) (out []expr.Any) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func is(b ...byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: b} }

func verdict(k expr.VerdictKind) []expr.Any { return []expr.Any{&expr.Verdict{Kind: k}} }

// user is who made the socket that the packet comes from.
func user(uid uint32) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeySKUID, Register: 1}, is(binaryutil.NativeEndian.PutUint32(uid)...)}
}

func proto(p byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, is(p)}
}

func firstByte(b byte) []expr.Any {
	return []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1}, is(b)}
}

// port is the destination's.
func port(p uint16) []expr.Any {
	return []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}, is(binaryutil.BigEndian.PutUint16(p)...)}
}

// String is the policy in the language of nft.
func (p Policy) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "table inet %s {\n", tableName)
	for _, c := range p.Chains {
		fmt.Fprintf(&b, "\tchain %s {\n\t\ttype filter hook %s priority filter; policy drop;\n", c.Name, c.Name)
		for _, r := range c.Rules {
			fmt.Fprintf(&b, "\t\t%s # %s\n", r.Text, r.Why)
		}
		b.WriteString("\t}\n")
	}
	b.WriteString("}\n")
	return b.String()
}

// Set puts the policy into the kernel in one step, in place of an earlier one, and looks whether it is there. It needs
// CAP_NET_ADMIN.
func (p Policy) Set() error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("setting the packet filter: %w", err)
	}
	table := &nftables.Table{Name: tableName, Family: nftables.TableFamilyINet}
	c.AddTable(table) // so that there is one to delete
	c.DelTable(table)
	c.AddTable(table)
	for _, ch := range p.Chains {
		drop := nftables.ChainPolicyDrop
		made := c.AddChain(&nftables.Chain{Name: ch.Name, Table: table, Type: nftables.ChainTypeFilter, Hooknum: ch.hook,
			Priority: nftables.ChainPriorityFilter, Policy: &drop})
		for _, r := range ch.Rules {
			c.AddRule(&nftables.Rule{Table: table, Chain: made, Exprs: r.exprs})
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("setting the packet filter: %w", err)
	}
	return p.check(c, table)
}

// check reads back how many rules each chain has and that it drops the rest.
func (p Policy) check(c *nftables.Conn, table *nftables.Table) error {
	chains, err := c.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return fmt.Errorf("reading the packet filter back: %w", err)
	}
	there := map[string]*nftables.Chain{}
	for _, ch := range chains {
		if ch.Table.Name == tableName && ch.Policy != nil && *ch.Policy == nftables.ChainPolicyDrop {
			there[ch.Name] = ch
		}
	}
	for _, ch := range p.Chains {
		if there[ch.Name] == nil {
			return fmt.Errorf("reading the packet filter back: no chain %s that drops", ch.Name)
		}
		rules, err := c.GetRules(table, there[ch.Name])
		if err != nil {
			return fmt.Errorf("reading the packet filter back: %w", err)
		}
		if len(rules) != len(ch.Rules) {
			return fmt.Errorf("reading the packet filter back: chain %s has %d rules, want %d", ch.Name, len(rules), len(ch.Rules))
		}
	}
	return nil
}
