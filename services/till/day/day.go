// Package day is calendar dates: 2026-11-21 and nothing finer.
//
// It is not a clock and knows no time zones: whoever has a clock says which date it is. The rule that keeps it small: a date can be read,
// written, compared, and told its weekday.
package day

import (
	"errors"
	"fmt"
	"time"
)

// Date is a day of the Gregorian calendar. The zero value is no date.
type Date struct{ year, month, day int }

// Of gives the date that t shows in its own time zone.
func Of(t time.Time) Date {
	y, m, d := t.Date()
	return Date{y, int(m), d}
}

const form = "2006-01-02"

// Parse reads a date of the form 2026-11-21, of the years 1989 to 9999.
func Parse(text string) (Date, error) {
	t, err := time.Parse(form, text)
	if err != nil {
		return Date{}, fmt.Errorf("reading the date %q: want the form 2026-11-21", text)
	}
	if t.Year() < 1989 { // the year consumption tax began; an older date is a broken clock
		return Date{}, fmt.Errorf("reading the date %q: before 1989", text)
	}
	return Of(t), nil
}

// IsZero says that there is no date.
func (d Date) IsZero() bool { return d == Date{} }

// Before says that d is earlier than e.
func (d Date) Before(e Date) bool {
	if d.year != e.year {
		return d.year < e.year
	}
	if d.month != e.month {
		return d.month < e.month
	}
	return d.day < e.day
}

// String is the form that Parse reads; empty for no date.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.year, d.month, d.day)
}

// Japanese is the form on paper: 2026年11月21日(土).
func (d Date) Japanese() string {
	week := []string{"日", "月", "火", "水", "木", "金", "土"}
	w := time.Date(d.year, time.Month(d.month), d.day, 0, 0, 0, 0, time.UTC).Weekday()
	return fmt.Sprintf("%d年%d月%d日(%s)", d.year, d.month, d.day, week[w])
}

// MarshalText writes the date for JSON. No date cannot be written: a record without its date is a fault.
func (d Date) MarshalText() ([]byte, error) {
	if d.IsZero() {
		return nil, errors.New("writing a date: there is none")
	}
	return []byte(d.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (d *Date) UnmarshalText(text []byte) error {
	got, err := Parse(string(text))
	if err != nil {
		return err
	}
	*d = got
	return nil
}
