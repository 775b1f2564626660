// Package palette is the colours of everything that Choba shows: the register's screens and the pages of recovery.
//
// It is not a look: which of them a button has is the business of whoever draws it. The rule that keeps it small: a
// colour has one name and one value.
package palette

import "github.com/choba-os/choba/drivers/display/paint"

// The colours. Text is drawn only on grounds with which it has a contrast of at least 4.5 (WCAG 2.2, 1.4.3); a test of
// services/screen/view measures it.
const (
	White     = paint.Color(0xffffffff)
	Ink       = paint.Color(0xff18222f)
	Ink2      = paint.Color(0xff4b5766)
	Ink3      = paint.Color(0xff5f6b78)
	Ground    = paint.Color(0xffe9edf2)
	Panel     = paint.Color(0xffffffff)
	Foot      = paint.Color(0xfff6f8fa)
	Hair      = paint.Color(0xffe3e8ee)
	Edge      = paint.Color(0xffc9d3de)
	Navy      = paint.Color(0xff14273d)
	Night     = paint.Color(0xff0d1b2c)
	Pill      = paint.Color(0xff28415c)
	Mist      = paint.Color(0xffb4c3d2)
	Teal      = paint.Color(0xff0b7a6b)
	TealDown  = paint.Color(0xff086054)
	TealPale  = paint.Color(0xffe3f4f0)
	TealMid   = paint.Color(0xffbfe3db)
	Mint      = paint.Color(0xff63d2be)
	Amber     = paint.Color(0xffa84a05)
	AmberPale = paint.Color(0xfffdefe0)
	Sun       = paint.Color(0xffffc46b)
	Red       = paint.Color(0xffb3232a)
	RedDown   = paint.Color(0xff8f1a20)
	RedPale   = paint.Color(0xfffbe9e9)
	RedMid    = paint.Color(0xfff0c9ca)
	Blue      = paint.Color(0xff1b66c4)
	BlueDown  = paint.Color(0xff144f9a)
	BluePale  = paint.Color(0xffe8f1fd)
	Grey      = paint.Color(0xffdde4ec)
	GreyDown  = paint.Color(0xffbcc8d6)
	KeyDown   = paint.Color(0xffd5dee8)
	Off       = paint.Color(0xffe1e6ec)
	OffInk    = paint.Color(0xff586472)
	Shade     = paint.Color(0x2e20344a)
	Scrim     = paint.Color(0xa00d1b2c)
)
