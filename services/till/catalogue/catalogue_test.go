package catalogue

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/services/till/tax"
)

var (
	classes     = map[tax.Class]bool{tax.Standard: true, tax.Reduced: true}
	departments = []Department{{"drink", "飲料", "Drinks"}}
	tea         = Article{"4901234567894", "宇治抹茶入り緑茶 500ml", "Uji green tea 500ml", "drink", tax.Reduced, 138}
	bag         = Article{"000012", "レジ袋(大)", "Carrier bag (L)", "drink", tax.Standard, 5}
)

func TestFind(t *testing.T) {
	c, problems := New(departments, []Article{tea, bag}, classes)
	require.Empty(t, problems)
	require.Equal(t, 2, c.Len())
	got, ok := c.Find("000012")
	require.True(t, ok)
	require.Equal(t, bag, got)
	_, ok = c.Find("4902345678905")
	require.False(t, ok)
	d, ok := c.Department("drink")
	require.True(t, ok)
	require.Equal(t, "飲料", d.Name)
	_, ok = Catalogue{}.Find("000012")
	require.False(t, ok, "the zero value is an empty shop")
}

// Every kind of mistake is found, at its place, and all at once.
func TestProblems(t *testing.T) {
	change := func(f func(*Article)) Article { a := tea; f(&a); return a }
	for place, bad := range map[string]Article{
		"articles[0].code: \"4901234567895\"": change(func(a *Article) { a.Code = "4901234567895" }),
		"articles[0].code: \"12\"":            change(func(a *Article) { a.Code = "12" }),
		"articles[0].code: \"2012345006980\"": change(func(a *Article) { a.Code = "2012345006980" }),
		"articles[0].department":              change(func(a *Article) { a.Department = "fish" }),
		"articles[0].tax":                     change(func(a *Article) { a.Tax = "luxury" }),
		"articles[0].price: -1":               change(func(a *Article) { a.Price = -1 }),
		"articles[0].price: 10000000":         change(func(a *Article) { a.Price = MaxPrice + 1 }),
		"articles[0].name: \"\"":              change(func(a *Article) { a.Name = "" }),
		"articles[0].name: \" x\"":            change(func(a *Article) { a.Name = " x" }),
		"articles[0].nameEn":                  change(func(a *Article) { a.NameEn = "a\u202eb" }),
		"articles[0].name: \"茶":               change(func(a *Article) { a.Name = strings.Repeat("茶", 61) }),
	} {
		_, problems := New(departments, []Article{bad}, classes)
		require.Len(t, problems, 1, place)
		require.True(t, strings.HasPrefix(problems[0].String(), place), "%s: %s", place, problems[0])
	}
	_, problems := New(append(departments, Department{"drink", "", "Again"}), []Article{tea, tea}, classes)
	require.Len(t, problems, 3, "%v", problems)
}
