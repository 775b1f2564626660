// Package money is amounts of money in whole yen, and arithmetic on them that says when it does not fit.
//
// It is not a number format library and knows nothing of taxes or prices. The rule that keeps it small: an amount is an integer of the
// currency's smallest unit, and no operation on it rounds.
package money

import (
	"errors"
	"math/bits"
	"strconv"
)

// Yen is an amount in yen. Negative amounts are money that goes back.
type Yen int64

// ErrOverflow is returned, as it is, by every operation whose result does not fit.
var ErrOverflow = errors.New("the amount is too large")

// Add gives y + z.
func (y Yen) Add(z Yen) (Yen, error) {
	sum := y + z
	if (sum > y) != (z > 0) && z != 0 {
		return 0, ErrOverflow
	}
	return sum, nil
}

// Sub gives y − z.
func (y Yen) Sub(z Yen) (Yen, error) {
	diff := y - z
	if (diff < y) != (z > 0) && z != 0 {
		return 0, ErrOverflow
	}
	return diff, nil
}

// Times gives y × n.
func (y Yen) Times(n int64) (Yen, error) {
	hi, lo := bits.Mul64(magnitude(int64(y)), magnitude(n))
	negative := (y < 0) != (n < 0)
	limit := uint64(1)<<63 - 1
	if negative {
		limit++
	}
	if hi != 0 || lo > limit {
		return 0, ErrOverflow
	}
	if negative {
		return Yen(-lo), nil
	}
	return Yen(lo), nil
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// Sum adds them all.
func Sum(amounts ...Yen) (Yen, error) {
	var total Yen
	for _, a := range amounts {
		var err error
		if total, err = total.Add(a); err != nil {
			return 0, err
		}
	}
	return total, nil
}

// String is the amount as it is printed: ¥1,234, and -¥140 for money that goes back.
func (y Yen) String() string {
	sign := ""
	if y < 0 {
		sign = "-"
	}
	return sign + "¥" + group(strconv.FormatUint(magnitude(int64(y)), 10))
}

func group(digits string) string {
	var out []byte
	for i := range len(digits) {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out = append(out, ',')
		}
		out = append(out, digits[i])
	}
	return string(out)
}
