package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/choba-os/choba/keys/trust"
	"github.com/choba-os/choba/services/till/barcode"
	"github.com/choba-os/choba/services/till/tax"
)

// A key pair for these tests only, fixed so that the golden pack stays the same.
const (
	testSigner   = "PRIVATE+KEY+choba-test-store+a84b4a5e+AWqdOb2xH7Gs08x5plGvcrMm9hQuwLPmM2gwvdnbmBv4"
	testVerifier = "choba-test-store+a84b4a5e+AQuEG79/7z2fikwwk6rN5IxyQb5yrH07HHNDZzoErCCv"
)

func signer(t require.TestingT) note.Signer {
	s, err := note.NewSigner(testSigner)
	require.NoError(t, err)
	return s
}

func root(t require.TestingT) trust.Root {
	v, err := note.NewVerifier(testVerifier)
	require.NoError(t, err)
	return trust.Root{Store: v}
}

func sampleBody(t require.TestingT) []byte {
	body, err := os.ReadFile("sample/shop.json")
	require.NoError(t, err)
	return body
}

func sample(t require.TestingT) Pack {
	p, err := Parse(sampleBody(t))
	require.NoError(t, err)
	return p
}

// The sample is what the drawings and the tests of others rely on.
func TestSample(t *testing.T) {
	p := sample(t)
	c, err := p.Catalogue()
	require.NoError(t, err)
	require.GreaterOrEqual(t, c.Len(), 200)
	rates := map[tax.Class]int{}
	for _, a := range p.Articles {
		rates[a.Tax]++
		if code, err := barcode.Parse(a.Code); code.Kind == barcode.JAN13 {
			require.NoError(t, err)
			require.Contains(t, []string{"45", "49"}, a.Code[:2])
		}
	}
	require.Greater(t, rates[tax.Standard], 60)
	require.Greater(t, rates[tax.Reduced], 100)
	for code, want := range map[string]struct {
		name  string
		price int64
		class tax.Class
	}{
		"4901234567894": {"宇治抹茶入り緑茶 500ml", 138, tax.Reduced}, "4902345678905": {"手巻おにぎり 紅鮭", 168, tax.Reduced},
		"4903456789016": {"特製幕の内弁当", 698, tax.Reduced}, "4904567890127": {"プレミアム缶ビール 350ml", 228, tax.Standard},
		"4905678901238": {"USB-C 充電ケーブル 1.5m", 1280, tax.Standard}, "4906789012349": {"北海道牛乳 1L", 248, tax.Reduced}, "000012": {"レジ袋(大)", 5, tax.Standard},
	} {
		a, ok := c.Find(code)
		require.True(t, ok, code)
		require.Equal(t, want.name, a.Name)
		require.Equal(t, want.price, int64(a.Price))
		require.Equal(t, want.class, a.Tax)
	}
	body, err := Encode(p)
	require.NoError(t, err)
	require.Equal(t, string(sampleBody(t)), string(body), "the sample is written in the one spelling")
}

func TestSealAndOpen(t *testing.T) {
	p := sample(t)
	file, err := Seal(p, signer(t))
	require.NoError(t, err)
	got, err := Open(root(t), file)
	require.NoError(t, err)
	require.Equal(t, p, got)
	require.Equal(t, "ekimae-honten.1", got.Name())
	_, err = Open(trust.Root{}, file)
	require.ErrorIs(t, err, trust.ErrStranger)
}

// The form of the file does not change by accident.
func TestGolden(t *testing.T) {
	file, err := Seal(small(t), signer(t))
	require.NoError(t, err)
	golden, err := os.ReadFile("testdata/small.pack")
	if os.IsNotExist(err) && os.Getenv("CHOBA_WRITE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile("testdata/small.pack", file, 0o644))
		return
	}
	require.NoError(t, err)
	require.Equal(t, string(golden), string(file))
}

// small is the sample with three articles.
func small(t require.TestingT) Pack {
	p := sample(t)
	p.Departments = p.Departments[:1]
	p.Articles = p.Articles[:3]
	return p
}

func TestEveryByteCounts(t *testing.T) {
	file, err := Seal(small(t), signer(t))
	require.NoError(t, err)
	r := root(t)
	for i := range file {
		for _, flip := range []byte{0x01, 0x20, 0x80} {
			bad := bytes.Clone(file)
			bad[i] ^= flip
			_, err := Open(r, bad)
			require.Error(t, err, "byte %d ^ %#x", i, flip)
		}
		_, err := Open(r, file[:i])
		require.Error(t, err, "cut at %d", i)
	}
	_, err = Open(r, append(bytes.Clone(file), '\n'))
	require.ErrorIs(t, err, ErrForm)
}

// A body that was signed but is not in its one spelling, or whose statement is about something else, is refused too.
func TestSignedNonsense(t *testing.T) {
	p := small(t)
	body, err := Encode(p)
	require.NoError(t, err)
	file := func(statement, body string) []byte {
		signed, err := note.Sign(&note.Note{Text: statement}, signer(t))
		require.NoError(t, err)
		return []byte(sizes(len(signed), len(body)) + string(signed) + body)
	}
	sum := func(s string) string {
		h := sha256.Sum256([]byte(s))
		return hex.EncodeToString(h[:])
	}
	spaced := strings.Replace(string(body), `"format": 1`, `"format":  1`, 1)
	_, err = Open(root(t), file(statement(p, []byte(spaced)), spaced))
	require.ErrorContains(t, err, "spelling")
	_, err = Open(root(t), file("choba store pack 1\nid other\nedition 1\nregister 02\nsha256 "+sum(string(body))+"\n", string(body)))
	require.ErrorContains(t, err, "another pack")
	_, err = Open(root(t), file("choba store pack 1\n", string(body)))
	require.ErrorContains(t, err, "not the one that was signed")
}

// Every problem of a pack is said, all at once, each with its place.
func TestProblems(t *testing.T) {
	for place, change := range map[string]func(*Pack){
		"format":                 func(p *Pack) { p.Format = 2 },
		"id":                     func(p *Pack) { p.ID = "駅前" },
		"edition":                func(p *Pack) { p.Edition = 0 },
		"register":               func(p *Pack) { p.Register = "123456789" },
		"shop.name":              func(p *Pack) { p.Shop.Name = "" },
		"shop.address":           func(p *Pack) { p.Shop.Address = "東京\n千代田" },
		"shop.registration":      func(p *Pack) { p.Shop.Registration = "T1234567890123" },
		"shop.timeZone":          func(p *Pack) { p.Shop.TimeZone = "Asia/Edo" },
		"tax.rates":              func(p *Pack) { p.Tax.Rates = append(p.Tax.Rates, p.Tax.Rates[0]) },
		"tax.rounding":           func(p *Pack) { p.Tax.Rounding = "bankers" },
		"tenders[1].enabled":     func(p *Pack) { p.Tenders[1].Enabled = true },
		"tenders[1].kind":        func(p *Pack) { p.Tenders[1].Kind = "barter" },
		"tenders[1].id":          func(p *Pack) { p.Tenders[1].ID = "cash" },
		"tenders":                func(p *Pack) { p.Tenders = p.Tenders[1:] },
		"quick.steps[1]":         func(p *Pack) { p.Quick.Steps[1] = 500 },
		"quick.steps[0]":         func(p *Pack) { p.Quick.Steps[0] = 0 },
		"quick":                  func(p *Pack) { p.Quick.Most = 9 },
		"staff[0].role":          func(p *Pack) { p.Staff[0].Role = "boss" },
		"staff[1].id":            func(p *Pack) { p.Staff[1].ID = "1001" },
		"operator":               func(p *Pack) { p.Operator = "1003" }, // a checker
		"printer.columns":        func(p *Pack) { p.Printer.Columns = 20 },
		"departments[0].id":      func(p *Pack) { p.Departments[0].ID = "a b"; p.Articles = nil },
		"articles[0].code":       func(p *Pack) { p.Articles[0].Code = "4901234567895" },
		"articles[1].name":       func(p *Pack) { p.Articles[1].Name = "緑茶 🍵" },
		"articles[2].price":      func(p *Pack) { p.Articles[2].Price = -1 },
		"articles[2].department": func(p *Pack) { p.Articles[2].Department = "none" },
		"articles[2].tax":        func(p *Pack) { p.Articles[2].Tax = "none" },
	} {
		p := small(t)
		change(&p)
		problems := p.check()
		require.NotEmpty(t, problems, place)
		require.Equal(t, place, problems[0].Place, "%v", problems)
		_, err := Encode(p)
		require.ErrorContains(t, err, place)
	}
	p := small(t)
	p.Edition, p.Articles[0].Price, p.Staff[0].Name = 0, -5, ""
	require.Len(t, p.check(), 3)
	require.ErrorContains(t, p.check(), "3 problem(s)")
}

func TestParseSaysWhere(t *testing.T) {
	body := string(sampleBody(t))
	_, err := Parse([]byte(strings.Replace(body, `"edition": 1`, `"edition": "1"`, 1)))
	require.ErrorContains(t, err, "line 4: ")
	_, err = Parse([]byte(strings.Replace(body, `"edition": 1`, `"edition": 1,,`, 1)))
	require.ErrorContains(t, err, "line 4: ")
	_, err = Parse([]byte(strings.Replace(body, `"edition"`, `"editon"`, 1)))
	require.ErrorContains(t, err, `unknown field "editon"`)
	_, err = Parse([]byte(body + "{}"))
	require.ErrorContains(t, err, "something follows")
	_, err = Parse(nil)
	require.Error(t, err)
}

func TestQuickAmounts(t *testing.T) {
	q := sample(t).Quick
	require.Equal(t, []int64{4500, 5000, 10000}, q.Amounts(4239))
	require.Equal(t, []int64{500, 1000, 5000}, q.Amounts(120))
	require.Equal(t, []int64{1000, 5000, 10000}, q.Amounts(986))
	require.Equal(t, []int64{1000, 5000, 10000}, q.Amounts(500), "the total itself is the key for exact")
	require.Equal(t, []int64{13000, 15000, 20000}, q.Amounts(12501))
	require.Empty(t, q.Amounts(10000))
	require.Empty(t, q.Amounts(0))
}

func FuzzParse(f *testing.F) {
	small, err := Encode(small(f))
	require.NoError(f, err)
	f.Add(small)
	f.Add([]byte(`{"format":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := Parse(body)
		if err != nil {
			return
		}
		out, err := Encode(p)
		require.NoError(t, err)
		again, err := Parse(out)
		require.NoError(t, err)
		require.Equal(t, p, again)
	})
}

func FuzzOpen(f *testing.F) {
	file, err := Seal(small(f), signer(f))
	require.NoError(f, err)
	r := root(f)
	f.Add(file)
	f.Add([]byte("choba store pack 1, note 1, body 1\nab"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := Open(r, data); err == nil {
			require.Equal(t, file, data, "only what was signed opens")
		}
	})
}
