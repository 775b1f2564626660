package policy_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/ports/api"
	"github.com/choba-os/choba/services/ports/policy"
)

func bench(t testing.TB) policy.Policy {
	text, err := os.ReadFile("bench.json")
	require.NoError(t, err)
	p, err := policy.Parse(text)
	require.NoError(t, err)
	return p
}

const hash = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

// The table of decisions: what a register says to whatever is plugged in.
func TestDecisions(t *testing.T) {
	tablet := policy.Device{Vendor: "0627", Product: "0001", Maker: "QEMU", Name: "QEMU USB Tablet", Serial: "28754-0000:00:04.0-1", Interfaces: []string{"03/00/00"}}
	keys := policy.Device{Vendor: "0627", Product: "0001", Maker: "QEMU", Name: "QEMU USB Keyboard", Interfaces: []string{"03/01/01"}}
	scan := policy.Device{Vendor: "1209", Product: "c0b1", Serial: "BENCH-SCANNER-1", Interfaces: []string{"03/01/01"}}
	ftdi := policy.Device{Vendor: "0403", Product: "6001", Interfaces: []string{"ff/ff/ff"}}
	with := func(d policy.Device, change func(*policy.Device)) policy.Device {
		change(&d)
		return d
	}
	for _, c := range []struct {
		name, role, reason string
		d                  policy.Device
	}{
		{"A25 the touch panel", api.RoleTouch, "", tablet},
		{"A25 the scanner", api.RoleScanner, "", scan},
		{"A25 the keyboard that scans", api.RoleScanner, "", keys},
		{"A25 the printer's line", api.RolePrinter, "", ftdi},
		{"A63 an unknown keyboard", "", "not on the list", with(keys, func(d *policy.Device) { d.Vendor, d.Product = "1209", "bad1" })},
		{"A41 a memory stick", api.RoleStick, "", policy.Device{Vendor: "1209", Product: "bad2", Interfaces: []string{"08/06/50"}}},
		{"A41 a memory stick that knows a second transport", api.RoleStick, "",
			policy.Device{Vendor: "0781", Product: "5581", Interfaces: []string{"08/06/50", "08/06/62"}}},
		{"A41 a stick with a keyboard inside", "", "it is 03/01/01 08/06/50, the list has 08/06/50",
			policy.Device{Vendor: "1209", Product: "bad3", Interfaces: []string{"03/01/01", "08/06/50"}}},
		{"A41 a stick with a network adapter inside", "", "the list has 08/06/50",
			policy.Device{Vendor: "1209", Product: "bad3", Interfaces: []string{"02/06/00", "08/06/50", "0a/00/00"}}},
		{"A41 storage that is no stick: a floppy drive", "", "it is 08/04/01, the list has 08/06/50",
			policy.Device{Vendor: "03ee", Product: "6901", Interfaces: []string{"08/04/01"}}},
		{"A41 a network adapter", "", "not on the list", policy.Device{Vendor: "0b95", Product: "772b", Interfaces: []string{"ff/ff/00"}}},
		{"A63 a stick with a keyboard inside, under the scanner's numbers", "", "the list has 03/01/01",
			with(scan, func(d *policy.Device) { d.Interfaces = []string{"03/01/01", "08/06/50"} })},
		{"A63 the touch panel that turned into a keyboard", "", "the list has 03/00/00",
			with(tablet, func(d *policy.Device) { d.Interfaces = []string{"03/01/01"} })},
		{"A63 a keyboard that calls itself a touch panel", "", "the list has 03/00/00",
			with(keys, func(d *policy.Device) { d.Name = "QEMU USB Tablet" })},
		{"A44 another unit of the scanner", "", "another unit", with(scan, func(d *policy.Device) { d.Serial = "BENCH-SCANNER-2" })},
		{"A44 the scanner without its number", "", "another unit", with(scan, func(d *policy.Device) { d.Serial = "" })},
		{"nothing at all", "", "not on the list", policy.Device{}},
		{"a hub", "", "not on the list", policy.Device{Vendor: "0409", Product: "55aa", Interfaces: []string{"09/00/00"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := bench(t).Decide(c.d)
			require.Equal(t, c.role != "", v.Allowed)
			require.Equal(t, c.role, v.Row.Role)
			require.Contains(t, v.Reason, c.reason)
			require.Equal(t, v.Allowed, v.Reason == "")
		})
	}
}

// A44: firmware that was changed describes itself differently.
func TestA44DescriptorHash(t *testing.T) {
	p := bench(t)
	for i := range p.Devices {
		p.Devices[i].Hash = hash
	}
	d := policy.Device{Vendor: "0403", Product: "6001", Interfaces: []string{"ff/ff/ff"}, Hash: hash}
	require.True(t, p.Decide(d).Allowed)
	d.Hash = strings.Replace(hash, "0", "1", 1)
	require.Equal(t, "its descriptors are not those on the list: it was changed", p.Decide(d).Reason)
}

func TestEmptyPolicyAllowsNothing(t *testing.T) {
	require.False(t, policy.Policy{}.Decide(policy.Device{}).Allowed)
}

func TestParseRefuses(t *testing.T) {
	text, err := os.ReadFile("bench.json")
	require.NoError(t, err)
	for name, change := range map[string][2]string{
		"format":           {`"choba ports 1"`, `"choba ports 2"`},
		"unknown field":    {`"role": "touch"`, `"rôle": "touch"`},
		"role":             {`"role": "touch"`, `"role": "mouse"`},
		"bus":              {`"bus": "usb"`, `"bus": "pci"`},
		"vendor":           {`"0627"`, `"0x0627"`},
		"capital letters":  {`"c0b1"`, `"C0B1"`},
		"no interfaces":    {`["03/00/00"]`, `[]`},
		"interface":        {`["03/00/00"]`, `["03-00-00"]`},
		"unsorted":         {`["03/00/00"]`, `["03/01/00","03/00/00"]`},
		"twice":            {`["03/00/00"]`, `["03/00/00","03/00/00"]`},
		"kind":             {`"kind": "bytes"`, `"kind": "raw"`},
		"no kind":          {`"kind": "evdev"`, `"kind": ""`},
		"line for evdev":   {`"kind": "bytes"`, `"kind": "evdev"`},
		"baud":             {`115200`, `115201`},
		"parity":           {`"none"`, `"mark"`},
		"hub with a kind":  {`["03/00/00"]`, `["09/00/00"]`},
		"hash":             {`"serial": "BENCH-SCANNER-1"`, `"hash": "12"`},
		"something behind": {"  ]\n}", "  ]\n}{}"},
		"not a list":       {`"devices": [`, `"devices": [[`},
		"hub that is not":  {`"role": "touch"`, `"role": "hub"`},
		"any for another": {`"vendor": "0627",
      "product": "0001"`, `"vendor": "any",
      "product": "any"`},
		"any and a number":    {`"product": "any"`, `"product": "0001"`},
		"stick with keyboard": {`["08/06/50", "08/06/62"]`, `["03/01/01", "08/06/50"]`},
		"stick of no kind":    {`["08/06/50"]`, `["08/04/00"]`},
		"stick as bytes":      {`"kind": "usbfs"`, `"kind": "bytes"`},
		"usbfs for another":   {`"kind": "bytes"`, `"kind": "usbfs"`},
		"stick with a line": {`"interfaces": ["08/06/50"],`,
			`"interfaces": ["08/06/50"], "line": {"baud": 9600, "bits": 8, "parity": "none", "stop": 1},`},
		"interface too big": {`["03/00/00"]`, `["03/00/00/"]`},
	} {
		changed := strings.Replace(string(text), change[0], change[1], 1)
		require.NotEqual(t, string(text), changed, name)
		_, err := policy.Parse([]byte(changed))
		require.Error(t, err, name)
	}
}

func FuzzParse(f *testing.F) {
	text, err := os.ReadFile("bench.json")
	require.NoError(f, err)
	f.Add(text)
	f.Add([]byte(`{"format":"choba ports 1","devices":[{"role":"hub","bus":"usb","vendor":"0409","product":"55aa","interfaces":["09/00/00"]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := policy.Parse(b)
		if err != nil {
			return
		}
		out, err := json.Marshal(p)
		require.NoError(t, err)
		again, err := policy.Parse(out)
		require.NoError(t, err)
		require.Equal(t, p, again)
	})
}
