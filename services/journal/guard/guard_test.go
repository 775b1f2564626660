package guard_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/journal/guard"
)

// The networks' published test numbers.
var cards = []string{
	"4111111111111111", "4222222222222", "4000000000000000006", // Visa of 16, 13 and 19
	"5555555555554444", "2223003122003222", "6759649826438453", "5018000000000009", // Mastercard, Maestro
	"378282246310005", "341111111111111", // American Express
	"3530111333300000", "3566002020360505", // JCB
	"30569309025904", "36700102000000", "38520000023237", // Diners Club
	"6011111111111117", "6200000000000005", "6205500000000000004", // Discover, UnionPay
	"2200000000000004", "8171999927660000", // Mir, UnionPay
}

func TestCardsAreRefusedHoweverTheyAreWritten(t *testing.T) {
	for _, c := range cards {
		for _, text := range []string{
			c, "card " + c, "=" + c + "=", "B" + c + "^TARO/CHOBA^2512", ";" + c + "=25121010000012300000?", "PAN:" + c + ".",
			wide(c), arabic(c), "x" + c, c + "x", "t" + c,
		} {
			require.Error(t, guard.Text("person", text), text)
		}
		for _, content := range []string{
			`{"note":"` + c + `"}`, `{"note":` + c + `}`, `{"` + c + `":1}`, `{"a":[{"b":["x","` + c + `"]}]}`,
			`{"note":` + c + `.0}`, `{"note":"` + escaped(c) + `"}`,
		} {
			if strings.HasSuffix(content, ".0}") && len(c) > 15 { // a float64 cannot hold them; see TestHoles
				continue
			}
			require.Error(t, guard.JSON("content", []byte(content)), content)
		}
		if len(c) != 13 {
			require.Error(t, guard.JSON("content", []byte(`{"code":"`+c+`"}`)), c)
		}
	}
	for _, text := range []string{
		"4111 1111 1111 1111", "4111-1111-1111-1111", "４１１１－１１１１－１１１１－１１１１", "4111\u00a01111\u00a01111\u00a01111",
		"3782 822463 10005", "3056 930902 5904", "0001 4111 1111 1111 1111 12/25", "4000 0000 0000 0000 006",
	} {
		require.Error(t, guard.Text("person", text), text)
	}
}

func TestTheShopsOwnNumbersPass(t *testing.T) {
	for name, text := range map[string]string{
		"time in ms":          "1763787906123",
		"time in ns":          "1763787906123456789",
		"date and time":       "20261122130500",
		"receipt number":      "20261122-0001-000123",
		"receipt, groups":     "2026-1122-0001-0123",
		"phones":              "03-1234-5678 06-6123-4567",
		"issuer's number":     "登録番号 T4222222222222",
		"digest":              "4111111111111111aa11111111111111",
		"uuid":                "41111111-1111-4111-8111-1111111111ab",
		"wrong check digit":   "4111111111111112",
		"twelve digits":       "411111111111",
		"twenty digits":       "41111111111111111111",
		"other range":         "7111111111111111",
		"two spaces":          "4111  1111  1111  1111",
		"empty":               "",
		"invalid bytes":       "\xff\xfe4111",
		"e-money (WAON-like)": "7600123412341234",
	} {
		require.NoError(t, guard.Text("person", text), name)
	}
	for i := range 10 { // whatever Luhn says of them: every tenth JAN code would pass as a card's number
		code := jan("490123456789", i)
		for _, content := range []string{`{"code":"` + code + `"}`, `{"lines":[{"jan":"` + code + `"}],"code":["` + code + `"]}`, `{"code":` + code + `}`} {
			require.NoError(t, guard.JSON("content", []byte(content)), content)
		}
	}
	require.NoError(t, guard.JSON("content", []byte(`{"total":1080,"rate":0.08,"big":1e300,"at":"2026-11-22T04:05:06.000789Z","ok":true,"none":null}`)))
}

// A JAN code in a field that is not for codes is not let through when it looks like a card; nor is a wrong check
// digit in a field for codes.
func TestCodesOutsideTheirFields(t *testing.T) {
	const both = "4901234567894" // right by EAN's rule; is it by Luhn's?
	require.Equal(t, guard.Text("person", both) != nil, luhn(both))
	found := 0
	for i := range 100 {
		code := jan("4912345678", i)
		if luhn(code) {
			found++
			require.Error(t, guard.JSON("content", []byte(`{"name":"`+code+`"}`)), code)
			require.NoError(t, guard.JSON("content", []byte(`{"code":"`+code+`"}`)), code)
		}
	}
	require.Positive(t, found)
	require.Error(t, guard.JSON("content", []byte(`{"code":"4222222222222"}`)), "right by Luhn's rule, wrong by EAN's")
}

func TestTheAnswerSaysWhereAndNeverWhat(t *testing.T) {
	err := guard.JSON("content", []byte(`{"lines":[{"name":"ok"},{"name":"4111 1111 1111 1111"}]}`))
	require.EqualError(t, err, "content.lines[1].name holds what looks like a payment card number; the journal never stores one")
	for _, c := range cards {
		err := guard.JSON("content", []byte(`{"x":{"`+c+`":1}}`))
		require.Error(t, err)
		require.NotContains(t, err.Error(), c)
	}
}

// The holes that the package names. When one is closed, this test says so.
func TestHoles(t *testing.T) {
	for name, text := range map[string]string{
		"cut in two":     `{"a":"41111111","b":"11111111"}`,
		"more digits":    `{"a":"41111111111111112512"}`,
		"in hexadecimal": `{"a":"4111111111111111a"}`,
		"as a fraction":  `{"a":4000000000000000006.0}`,
	} {
		require.NoError(t, guard.JSON("content", []byte(text)), name)
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"code":"4901234567894","a":["4111 1111 1111 1111",-1.5e3]}`))
	f.Add([]byte(`"T4010401089234"`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if !json.Valid(text) {
			return
		}
		err := guard.JSON("content", text)
		var plain string
		if json.Unmarshal(text, &plain) == nil {
			require.Equal(t, guard.Text("content", plain) != nil, err != nil)
		}
	})
}

func wide(s string) string   { return shift(s, '０') }
func arabic(s string) string { return shift(s, '٠') }

func shift(s string, zero rune) string {
	return strings.Map(func(r rune) rune { return r - '0' + zero }, s)
}

func escaped(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteString(`\u00` + string("0123456789abcdef"[r>>4]) + string("0123456789abcdef"[r&15]))
	}
	return b.String()
}

// jan makes a code of 13 digits from a beginning and a number, with a right check digit.
func jan(begin string, n int) string {
	digits := begin
	for len(digits) < 12 {
		digits += string(rune('0' + n%10))
		n /= 10
	}
	digits = digits[:11] + string(rune('0'+(int(digits[11]-'0')+n)%10))
	sum := 0
	for i, r := range digits {
		sum += int(r-'0') * (1 + 2*(i%2))
	}
	return digits + string(rune('0'+(10-sum%10)%10))
}

func luhn(s string) bool {
	sum := 0
	for i := range s {
		d := int(s[len(s)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}
