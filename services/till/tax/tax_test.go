package tax

import (
	"bufio"
	"math/big"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/choba-os/choba/services/till/day"
	"github.com/choba-os/choba/services/till/money"
)

func date(t require.TestingT, text string) day.Date {
	d, err := day.Parse(text)
	require.NoError(t, err)
	return d
}

func japan(t require.TestingT) Table {
	return Table{
		{Standard, date(t, "2014-04-01"), 800, false},
		{Standard, date(t, "2019-10-01"), 1000, false},
		{Reduced, date(t, "2019-10-01"), 800, true},
	}
}

func TestRatesFollowTheDate(t *testing.T) {
	table := japan(t)
	require.NoError(t, table.Check())
	require.Empty(t, table.On(date(t, "2014-03-31")))
	require.Equal(t, []Rate{{Standard, 800, false}}, table.On(date(t, "2019-09-30")))
	require.Equal(t, []Rate{{Standard, 1000, false}, {Reduced, 800, true}}, table.On(date(t, "2019-10-01")))
	require.Equal(t, "8", Points(800).Percent())
	require.Equal(t, "5.5", Points(550).Percent())
	require.Equal(t, "8.25", Points(825).Percent())
	require.Equal(t, "10.05", Points(1005).Percent())
}

func TestTableIsChecked(t *testing.T) {
	d := date(t, "2019-10-01")
	for name, bad := range map[string]Table{
		"empty": {}, "no class": {{"", d, 1000, false}}, "no date": {{Standard, day.Date{}, 1000, false}},
		"negative": {{Standard, d, -1, false}}, "over 100 %": {{Standard, d, 10001, false}},
		"twice": {{Standard, d, 1000, false}, {Standard, d, 800, false}},
	} {
		require.Error(t, bad.Check(), name)
	}
}

func TestTermsAreChecked(t *testing.T) {
	good := Terms{true, Floor, []Rate{{Standard, 1000, false}}}
	require.NoError(t, good.Check())
	for name, bad := range map[string]Terms{
		"no rounding": {true, "", good.Rates}, "no rates": {true, Floor, nil}, "no class": {true, Floor, []Rate{{"", 1, false}}},
		"twice":      {true, Floor, []Rate{{Standard, 1000, false}, {Standard, 800, false}}},
		"over 100 %": {true, Floor, []Rate{{Standard, 10001, false}}},
	} {
		require.Error(t, bad.Check(), name)
	}
}

// The vectors are text, so that they outlive this code: see testdata/vectors.txt.
func TestVectors(t *testing.T) {
	f, err := os.Open("testdata/vectors.txt")
	require.NoError(t, err)
	defer f.Close()
	lines, n := bufio.NewScanner(f), 0
	for lines.Scan() {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		require.Len(t, fields, 5, lines.Text())
		n++
		terms := Terms{fields[0] == "included", Rounding(fields[1]), japan(t).On(date(t, "2026-11-21"))}
		require.NoError(t, terms.Check())
		sums, err := terms.Sums(parts(t, fields[2]))
		require.NoError(t, err, lines.Text())
		require.Equal(t, fields[3], write(sums), lines.Text())
		var due money.Yen
		for _, s := range sums {
			due += s.Due
		}
		require.Equal(t, fields[4], strconv.FormatInt(int64(due), 10), lines.Text())
	}
	require.Greater(t, n, 20)
}

func parts(t *testing.T, text string) (out []Part) {
	class := map[byte]Class{'s': Standard, 'r': Reduced}
	for _, item := range strings.Split(text, ",") {
		n, err := strconv.ParseInt(item[1:], 10, 64)
		require.NoError(t, err)
		require.Contains(t, class, item[0])
		out = append(out, Part{class[item[0]], money.Yen(n)})
	}
	return out
}

func write(sums []Sum) string {
	var out []string
	for _, s := range sums {
		out = append(out, s.Points.Percent()+":"+strconv.FormatInt(int64(s.Base), 10)+":"+strconv.FormatInt(int64(s.Tax), 10))
	}
	return strings.Join(out, ",")
}

// A rational number without bounds gives the same tax, whatever the amounts; and the lines' order is of no account.
func TestSumsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		terms := Terms{
			Included: rapid.Bool().Draw(t, "included"),
			Rounding: rapid.SampledFrom([]Rounding{Floor, HalfUp, Ceil}).Draw(t, "rounding"),
			Rates: []Rate{
				{Standard, Points(rapid.IntRange(0, 10000).Draw(t, "standard")), false},
				{Reduced, Points(rapid.IntRange(0, 10000).Draw(t, "reduced")), true},
			},
		}
		all := rapid.SliceOf(rapid.Custom(func(t *rapid.T) Part {
			return Part{rapid.SampledFrom([]Class{Standard, Reduced}).Draw(t, "class"), money.Yen(rapid.Int64Range(-1e12, 1e12).Draw(t, "amount"))}
		})).Draw(t, "parts")
		sums, err := terms.Sums(all)
		require.NoError(t, err)
		again, err := terms.Sums(rapid.Permutation(all).Draw(t, "order"))
		require.NoError(t, err)
		require.Equal(t, sums, again)
		for _, s := range sums {
			base := new(big.Rat)
			for _, p := range all {
				if p.Class == s.Class {
					base.Add(base, new(big.Rat).SetInt64(int64(p.Amount)))
				}
			}
			require.Zero(t, base.Cmp(new(big.Rat).SetInt64(int64(s.Base))))
			require.Equal(t, expected(base, terms, s.Points).String(), strconv.FormatInt(int64(s.Tax), 10))
			if terms.Included {
				require.Equal(t, s.Base, s.Due)
			} else {
				require.Equal(t, s.Base+s.Tax, s.Due)
			}
		}
	})
}

// expected computes in fractions what share computes in words.
func expected(base *big.Rat, terms Terms, p Points) *big.Int {
	whole := int64(10000)
	if terms.Included {
		whole += int64(p)
	}
	exact := new(big.Rat).Mul(base, big.NewRat(int64(p), whole))
	size := new(big.Rat).Abs(exact)
	switch terms.Rounding {
	case HalfUp:
		size.Add(size, big.NewRat(1, 2))
	case Ceil:
		floor := new(big.Int).Quo(size.Num(), size.Denom())
		if new(big.Rat).SetInt(floor).Cmp(size) < 0 {
			size.Add(size, big.NewRat(1, 1))
		}
	}
	out := new(big.Int).Quo(size.Num(), size.Denom())
	if exact.Sign() < 0 {
		out.Neg(out)
	}
	return out
}

func TestAbsurdAmountsAreRefused(t *testing.T) {
	terms := Terms{false, Floor, []Rate{{Standard, 10000, false}}}
	_, err := terms.Sums([]Part{{Standard, 1<<63 - 1}})
	require.ErrorIs(t, err, money.ErrOverflow)
	_, err = terms.Sums([]Part{{Standard, 1<<63 - 1}, {Standard, 1}})
	require.ErrorIs(t, err, money.ErrOverflow)
	_, err = terms.Sums([]Part{{"alcohol", 1}})
	require.ErrorContains(t, err, "no rate")
}
