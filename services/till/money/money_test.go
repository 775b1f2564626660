package money

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestString(t *testing.T) {
	for want, y := range map[string]Yen{
		"¥0": 0, "¥5": 5, "¥999": 999, "¥1,000": 1000, "¥4,239": 4239, "¥1,234,567": 1234567, "-¥140": -140,
		"-¥9,223,372,036,854,775,808": math.MinInt64, "¥9,223,372,036,854,775,807": math.MaxInt64,
	} {
		require.Equal(t, want, y.String())
	}
}

// Every operation either gives exactly what unbounded integers give, or says that it does not fit.
func TestArithmeticIsExact(t *testing.T) {
	edge := rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{0, 1, -1, math.MaxInt64, math.MinInt64, math.MaxInt64 - 1}))
	rapid.Check(t, func(t *rapid.T) {
		a, b := edge.Draw(t, "a"), edge.Draw(t, "b")
		x, y := big.NewInt(a), big.NewInt(b)
		check := func(name string, got Yen, err error, want *big.Int) {
			if !want.IsInt64() {
				require.ErrorIs(t, err, ErrOverflow, name)
				return
			}
			require.NoError(t, err, name)
			require.Equal(t, want.Int64(), int64(got), name)
		}
		sum, err := Yen(a).Add(Yen(b))
		check("add", sum, err, new(big.Int).Add(x, y))
		diff, err := Yen(a).Sub(Yen(b))
		check("sub", diff, err, new(big.Int).Sub(x, y))
		product, err := Yen(a).Times(b)
		check("times", product, err, new(big.Int).Mul(x, y))
	})
}

func TestSum(t *testing.T) {
	got, err := Sum(276, 504, 558, 1368, 1280, 248, 5)
	require.NoError(t, err)
	require.Equal(t, Yen(4239), got)
	_, err = Sum(math.MaxInt64, 1)
	require.ErrorIs(t, err, ErrOverflow)
}
