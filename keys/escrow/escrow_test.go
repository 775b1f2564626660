package escrow

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/choba-os/choba/image/frame"
	"github.com/choba-os/choba/image/frame/frametest"
	"github.com/choba-os/choba/image/layout"
	"github.com/choba-os/choba/keys/datakey"
)

const stateSize = 5 << 19 // of the state partition, only what the escrow needs

func testSecret() datakey.Secret {
	s := datakey.Secret{State: datakey.Made}
	for i := range s.Identity {
		s.Identity[i] = byte(i)
	}
	for i := range s.Key {
		s.Key[i] = byte(0x40 + i)
	}
	return s
}

func random() io.Reader { return rand.NewChaCha8([32]byte{7}) }

func testBlock(t testing.TB) (Block, Code, *age.X25519Identity) {
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	b, code, err := Make(random(), testSecret(), id.Recipient().String())
	require.NoError(t, err)
	return b, code, id
}

// goldenBlock was made once; the vendor's letter in it is shortened to some bytes.
const goldenBlock = "choba escrow 1\n" +
	"identity 000102030405060708090a0b0c0d0e0f\n" +
	"recipient age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa\n" +
	"used 0 0\n" +
	"salt 04427c9053d9a667be544c14e69fa482\n" +
	"sealed iEeUkainFMWBEEtunsZozdtBNzobfig/Sr/vL93S/L0++nVhr7Ds8u4TDJa9wnQ1vDzzpS0um96bTsR+3hsb667/ngzTimchDILyEid9bGfYlTssEpwEusPnw2yxZZ8Nv1A=\n" +
	"vendor bGV0dGVy\n"

// Golden bytes: code, block and frame. A code that a vendor keeps today must open the block in ten years.
func TestGolden(t *testing.T) {
	b, code, err := Make(random(), testSecret(), "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa")
	require.NoError(t, err)
	require.Equal(t, "040150-599214-654786-205656-632808-561286-040018-029964", code.String())
	b.Age = []byte("letter") // age's own randomness is in it
	require.Equal(t, goldenBlock, string(b.Encode()))
	back, err := Parse([]byte(goldenBlock))
	require.NoError(t, err)
	require.Equal(t, b, back)
	got, err := back.Open(code)
	require.NoError(t, err)
	require.Equal(t, testSecret(), got)
	d := frametest.New(stateSize)
	require.NoError(t, Store(d, b))
	block, err := frame.Encode("CHOBA-ESCROW-1", 1, []byte(goldenBlock), 8192)
	require.NoError(t, err)
	require.Equal(t, block, d.Data[2<<20:][:8192])
}

// Who has the identity learns the code; nobody else, and no other code opens.
func TestVendorAndCode(t *testing.T) {
	b, code, id := testBlock(t)
	letter, err := OpenLetter(b.Vendor(), id)
	require.NoError(t, err)
	require.Equal(t, Letter{testSecret().Identity, code}, letter)
	stranger, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	_, err = OpenLetter(b.Vendor(), stranger)
	require.ErrorContains(t, err, "opening the register's letter")
	for i := range code {
		wrong := code
		wrong[i] ^= 1
		_, err := b.Open(wrong)
		require.ErrorIs(t, err, ErrOpen)
	}
	turned := code
	turned[0], turned[1], turned[2], turned[3] = code[2], code[3], code[0], code[1]
	_, err = b.Open(turned)
	require.ErrorIs(t, err, ErrOpen, "two groups in the other order")
	for name, change := range map[string]func(b *Block){
		"identity":  func(b *Block) { b.Identity[0] ^= 1 },
		"recipient": func(b *Block) { b.Recipient = stranger.Recipient().String() },
		"salt":      func(b *Block) { b.Salt[0] ^= 1 },
		"secret":    func(b *Block) { b.Sealed = append([]byte{b.Sealed[0] ^ 1}, b.Sealed[1:]...) },
	} {
		bad := b
		change(&bad)
		_, err := bad.Open(code)
		require.ErrorIs(t, err, ErrOpen, name)
	}
	secret := testSecret()
	for _, part := range []string{string(code[:]), code.String(), string(secret.Key[:16])} {
		require.False(t, bytes.Contains(b.Encode(), []byte(part)), "nothing lies in the open")
	}
	making := testSecret()
	making.State = datakey.Making
	b, code, err = Make(random(), making, id.Recipient().String())
	require.NoError(t, err)
	got, err := b.Open(code)
	require.NoError(t, err)
	require.Equal(t, datakey.Made, got.State, "a key out of escrow never formats anything")
}

func TestMakeRefuses(t *testing.T) {
	_, _, err := Make(random(), testSecret(), "age1nobody")
	require.ErrorContains(t, err, "recipient")
	for n := range 32 {
		_, _, err = Make(io.LimitReader(random(), int64(n)), testSecret(), "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa")
		require.Error(t, err, n)
	}
}

// Every slip of one digit, and every swap of neighbours in a group, is noticed in its group.
func TestCodeSlips(t *testing.T) {
	_, code, _ := testBlock(t)
	text := code.String()
	for i, old := range []byte(text) {
		if old == '-' {
			continue
		}
		for d := byte('0'); d <= '9'; d++ {
			slip := text[:i] + string(d) + text[i+1:]
			got, err := ParseCode(slip)
			if d == old {
				require.NoError(t, err)
				require.Equal(t, code, got)
				continue
			}
			require.ErrorIs(t, err, ErrCode)
			require.ErrorContains(t, err, fmt.Sprintf("(group %d)", i/7+1))
		}
		if i%7 < 5 && text[i+1] != old {
			_, err := ParseCode(text[:i] + text[i+1:i+2] + text[i:i+1] + text[i+2:])
			require.ErrorIs(t, err, ErrCode)
		}
	}
}

func TestParseCode(t *testing.T) {
	_, code, _ := testBlock(t)
	wide := strings.NewReplacer("0", "０", "1", "１", "2", "２", "3", "３", "4", "４", "5", "５", "6", "６", "7", "７", "8", "８", "9", "９", "-", "ー")
	for _, typed := range []string{code.String(), strings.ReplaceAll(code.String(), "-", ""), strings.ReplaceAll(code.String(), "-", " "),
		wide.Replace(code.String()), "\t" + code.String() + "\r\n"} {
		got, err := ParseCode(typed)
		require.NoError(t, err, typed)
		require.Equal(t, code, got)
	}
	for _, typed := range []string{"", "123456", code.String() + "0", code.String() + "x", strings.Repeat("9", 48), strings.Repeat("0", 47)} {
		_, err := ParseCode(typed)
		require.ErrorIs(t, err, ErrCode, typed)
	}
	require.NoError(t, CheckGroup("720885"), "the largest: 65535 × 11")
	require.NoError(t, CheckGroup(" 000011 "))
	for _, bad := range []string{"", "00001", "0000111", "000012", "720896", "abcdef"} {
		require.ErrorIs(t, CheckGroup(bad), ErrCode, bad)
	}
	for range 1000 {
		c, err := newCode(random())
		require.NoError(t, err)
		got, err := ParseCode(c.String())
		require.NoError(t, err)
		require.Equal(t, c, got)
	}
}

func TestStore(t *testing.T) {
	b, _, _ := testBlock(t)
	d := frametest.New(stateSize)
	_, _, err := Load(d)
	require.ErrorIs(t, err, ErrNone)
	require.NoError(t, Store(d, b))
	got, whole, err := Load(d)
	require.NoError(t, err)
	require.True(t, whole)
	require.Equal(t, b, got)
	at := [2]int64{layout.EscrowCopy1, layout.EscrowCopy2}
	for c := range 2 { // every altered byte is noticed, and the other copy is there
		for i := range int64(layout.EscrowSize) {
			d.Data[at[c]+i] ^= 0x10
			got, whole, err := Load(d)
			require.NoError(t, err)
			require.Equal(t, b.Salt, got.Salt)
			require.False(t, whole)
			d.Data[at[c]+i] ^= 0x10
		}
	}
	d.Data[at[0]+70] ^= 1
	d.Data[at[1]+70] ^= 1
	_, _, err = Load(d)
	require.ErrorIs(t, err, ErrDamaged)
	b.Age = make([]byte, layout.EscrowSize)
	require.Error(t, Store(d, b), "too long")
}

// The power goes after every sector, in either order: the old block or the new one.
func TestStorePowerCut(t *testing.T) {
	b, _, _ := testBlock(t)
	for _, reverse := range []bool{false, true} {
		base := frametest.New(stateSize)
		require.NoError(t, Store(base, b))
		for cut := range layout.EscrowSize/layout.Sector + 1 {
			d := base.Clone()
			d.Reverse, d.Left = reverse, cut
			next := b
			next.Used, next.Last = 1, 9
			require.ErrorIs(t, Store(d, next), frametest.ErrPower)
			got, _, err := Load(d)
			require.NoError(t, err)
			require.Contains(t, []Block{b, next}, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	b, _, _ := testBlock(t)
	text := string(b.Encode())
	for _, bad := range []string{"", text[:len(text)-1], text + "\n", strings.Replace(text, "used 0 0", "used 0 -1", 1), strings.Replace(text, "used 0", "used +0", 1),
		strings.Replace(text, "choba escrow 1", "choba escrow 2", 1), strings.Replace(text, "identity 00", "identity 0", 1), strings.Replace(text, "vendor ", "vendor !", 1)} {
		_, err := Parse([]byte(bad))
		require.Error(t, err, bad)
	}
	for i := range text {
		bad := []byte(text)
		bad[i] ^= 0x10
		if got, err := Parse(bad); err == nil {
			require.NotEqual(t, b, got, "byte %d: it means something else", i)
		}
	}
}

func TestLetter(t *testing.T) {
	good := fmt.Sprintf(letterText, "000102030405060708090a0b0c0d0e0f", Code{1, 2})
	l, err := parseLetter([]byte(good))
	require.NoError(t, err)
	require.Equal(t, Code{1, 2}, l.Code)
	for _, bad := range []string{"", good[1:], good + " ", strings.Replace(good, "0e0f", "0e", 1), strings.ReplaceAll(good, "-", ""), strings.Replace(good, "-000000", "-000001", 1)} {
		_, err := parseLetter([]byte(bad))
		require.Error(t, err, bad)
	}
}

func FuzzParse(f *testing.F) {
	b, _, _ := testBlock(f)
	f.Add(b.Encode())
	f.Add([]byte("choba escrow 1\nidentity "))
	f.Fuzz(func(t *testing.T, text []byte) {
		if b, err := Parse(text); err == nil {
			require.Equal(t, string(text), string(b.Encode()))
			_, err := b.Open(Code{})
			require.True(t, err == nil || errors.Is(err, ErrOpen))
		}
	})
}

func FuzzParseCode(f *testing.F) {
	f.Add("000011-000022-000033-000044-000055-000066-000077-720885")
	f.Add("１２３")
	f.Fuzz(func(t *testing.T, typed string) {
		c, err := ParseCode(typed)
		if err != nil {
			require.ErrorIs(t, err, ErrCode)
			return
		}
		again, err := ParseCode(c.String())
		require.NoError(t, err)
		require.Equal(t, c, again)
	})
}

func FuzzParseLetter(f *testing.F) {
	f.Add(fmt.Appendf(nil, letterText, "000102030405060708090a0b0c0d0e0f", Code{}))
	f.Add([]byte(base64.StdEncoding.EncodeToString([]byte("x"))))
	f.Fuzz(func(t *testing.T, text []byte) {
		if l, err := parseLetter(text); err == nil {
			require.Equal(t, string(text), fmt.Sprintf(letterText, fmt.Sprintf("%x", l.Identity), l.Code))
		}
	})
}
