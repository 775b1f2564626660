package serve

import (
	"errors"

	"github.com/choba-os/choba/drivers/usbstick"
	"github.com/choba-os/choba/image/fat"
	"github.com/choba-os/choba/services/stick/api"
)

// What a person reads, in the order of trying a stick.
func looking() api.State {
	return api.State{Text: "USBメモリを調べています。", TextEn: "Looking at the USB stick."}
}

func readable(repository bool) api.State {
	if !repository {
		return api.State{Present: true, Text: "このUSBメモリには更新がありません。", TextEn: "There is no update on this USB stick."}
	}
	return api.State{Present: true, Text: "USBメモリを読み取れます。", TextEn: "The USB stick can be read."}
}

// unreadable says what is wrong with a stick and what to do about it.
func unreadable(err error) api.State {
	switch {
	case errors.Is(err, usbstick.ErrEmpty):
		return api.State{Text: "カードが入っていません。", TextEn: "There is no card in the reader."}
	case errors.Is(err, fat.ErrNotFAT):
		return api.State{Text: "このUSBメモリは読み取れません。FAT32またはexFATで初期化したものを使ってください。",
			TextEn: "This USB stick cannot be read. Use one that is formatted with FAT32 or exFAT."}
	case errors.Is(err, fat.ErrDamaged):
		return api.State{Text: "このUSBメモリは読み取れません。中のファイルシステムが壊れています。別のものを使ってください。",
			TextEn: "This USB stick cannot be read. Its file system is damaged. Use another one."}
	case errors.Is(err, usbstick.ErrGone):
		return api.State{Text: "USBメモリが抜かれました。", TextEn: "The USB stick was pulled out."}
	}
	return api.State{Text: "このUSBメモリは読み取れません。故障しているようです。別のものを使ってください。",
		TextEn: "This USB stick cannot be read. It seems to be broken. Use another one."}
}
