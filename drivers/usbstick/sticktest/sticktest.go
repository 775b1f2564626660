// Package sticktest is a memory stick in memory that speaks the wire (bulk-only transport and SCSI), honestly or with
// one fault after the other.
//
// It is for tests only, and is not a model of any maker's stick. The rule that keeps it small: it answers transfers, as
// a device does; a fault is one change to one answer.
package sticktest

import (
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/choba-os/choba/drivers/usbstick"
)

// Faults are what can be wrong with a stick. The zero value is an honest one.
type Faults struct {
	NotReady  int    // answers "becoming ready" to so many questions
	Attention int    // begins with so many unit attentions
	Empty     bool   // a card reader without a card
	Type      byte   // of device; 0 is a disk
	Blocks    uint64 // claimed instead of the real number
	Block     uint32 // claimed bytes in a block
	ShortName bool   // answers an inquiry with five bytes

	// What happens at the exchange with this number, from 1, and Times-1 times afterwards; Times 0 is once.
	At, Times int
	Wrong     Wrong
	Protected bool // refuses writing
	NoSync    bool // does not know SYNCHRONIZE CACHE
	NoReset   bool // does not take the class's reset
}

// Wrong is one thing that goes wrong with one exchange.
type Wrong int

// The things that go wrong.
const (
	Nothing      Wrong = iota
	StallCommand       // the command is not taken
	StallData          // the data is not given; the status says failed
	StallStatus        // the status comes after one stall
	StallForever       // nothing is given until a reset
	Silence            // nothing comes at all
	WrongTag           // the status is of another command
	WrongSign          // the status is none
	ShortStatus        // the status has 12 bytes
	LongStatus         // more than a status comes
	PhaseError         // status 2
	OddStatus          // status 77
	BigResidue         // more is missing than was asked for
	ShortData          // half of the data, said so in the residue
	LyingShort         // half of the data, and the residue says all came
	LongData           // claims to have moved more than was asked for
	MediumError        // the status says failed, the sense says why
	NoSense            // the status says failed, and so does the question why
	OddSense           // the sense answer is rubbish
	Changed            // another medium
	Pulled             // the stick is gone, from now on
	Empty              // an empty packet before the status
)

// Stick is a usbstick.Bus.
type Stick struct {
	mu     sync.Mutex // guards all below
	Data   []byte
	Faults Faults
	// Resets, Clears and Commands count what was asked of it; Log holds the commands' first bytes.
	Resets, Clears, Ports, Syncs int
	Log                          []byte
	Closed                       bool

	gone    bool
	n       int // exchanges
	wrong   Wrong
	stalled map[bool]bool
	stuck   bool
	ends    bool   // a stall marks the end of data that is shorter than asked for
	out     []byte // data that the host still has to send: where it goes
	in      []byte // data that the host has not taken yet
	status  []byte // to give when in is empty
	sense   [3]byte
}

// New is an honest stick with that content, whole blocks of 512.
func New(data []byte) *Stick { return &Stick{Data: data, stalled: map[bool]bool{}} }

// Pull takes the stick out.
func (s *Stick) Pull() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
}

func (s *Stick) block() uint32 {
	if s.Faults.Block != 0 {
		return s.Faults.Block
	}
	return 512
}

// Out takes a command, or data.
func (s *Stick) Out(data []byte, _ time.Duration) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.gone:
		return 0, usbstick.ErrGone
	case s.stuck || s.stalled[false]:
		s.stalled[false] = true
		return 0, usbstick.ErrStall
	case len(s.out) > 0:
		if s.wrong == StallData {
			s.stalled[false], s.out = true, nil
			s.fail(3, 0x0c, 0)
			return 0, usbstick.ErrStall
		}
		n := copy(s.out, data)
		s.out = s.out[n:]
		return n, nil
	case len(data) != 31 || binary.LittleEndian.Uint32(data) != 0x43425355:
		s.stuck = true
		return 0, usbstick.ErrStall
	}
	return s.command(data)
}

// command begins an exchange.
func (s *Stick) command(cbw []byte) (int, error) {
	s.n++
	s.wrong = Nothing
	if f := s.Faults; f.Wrong != Nothing && s.n >= f.At && s.n < f.At+max(1, f.Times) {
		s.wrong = f.Wrong
	}
	if s.wrong == MediumError && cbw[15] == 0x03 {
		s.wrong = Nothing // it says why
	}
	s.Log = append(s.Log, cbw[15])
	want := int(binary.LittleEndian.Uint32(cbw[8:]))
	s.in, s.out = nil, nil
	s.status = make([]byte, 13)
	binary.LittleEndian.PutUint32(s.status, 0x53425355)
	copy(s.status[4:8], cbw[4:8])
	switch s.wrong {
	case StallCommand:
		s.stalled[false] = true
		return 0, usbstick.ErrStall
	case StallForever:
		s.stuck = true
	case Pulled:
		s.gone = true
		return 0, usbstick.ErrGone
	case MediumError:
		s.fail(3, 0x11, 0)
	case Changed:
		s.fail(6, 0x28, 0)
	case NoSense, OddSense:
		s.fail(4, 0, 0)
	default:
		s.answer(cbw[15:31], want)
	}
	s.settle(want, cbw[12]&0x80 != 0)
	return 31, nil
}

// settle puts residue and faults into the answer.
func (s *Stick) settle(want int, in bool) {
	have := len(s.out)
	if in {
		have = len(s.in)
	}
	switch s.wrong {
	case ShortData, LyingShort:
		if in {
			s.in = s.in[:len(s.in)/2]
			have = len(s.in)
		}
	case StallData:
		if in {
			s.in, have = nil, 0
			s.stalled[true] = true
			s.fail(3, 0x11, 0)
		}
	case StallStatus:
		if want == 0 {
			s.stalled[true] = true
		}
	}
	if !in && want > 0 && have == 0 {
		s.stalled[false] = true // it takes no data
	}
	s.ends = in && have < want && s.wrong != LyingShort && !s.stalled[true]
	binary.LittleEndian.PutUint32(s.status[8:], uint32(max(0, want-have)))
	switch s.wrong {
	case LyingShort:
		binary.LittleEndian.PutUint32(s.status[8:], 0)
	case WrongTag:
		s.status[4] ^= 0x55
	case WrongSign:
		s.status[0] ^= 0x55
	case ShortStatus:
		s.status = s.status[:12]
	case PhaseError:
		s.status[12] = 2
	case OddStatus:
		s.status[12] = 77
	case BigResidue:
		binary.LittleEndian.PutUint32(s.status[8:], uint32(want)+1)
	}
}

func (s *Stick) fail(key, code, more byte) {
	s.sense = [3]byte{key, code, more}
	s.status[12] = 1
	s.in, s.out = nil, nil
}

// In gives data, or the status.
func (s *Stick) In(buf []byte, _ time.Duration) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.gone:
		return 0, usbstick.ErrGone
	case s.stuck || s.stalled[true]:
		s.stalled[true] = true
		return 0, usbstick.ErrStall
	case s.wrong == Silence:
		return 0, usbstick.ErrTimeout
	case len(s.in) > 0 && s.wrong == LongData:
		return len(buf) + 512, nil
	case len(s.in) > 0:
		n := copy(buf, s.in)
		s.in = s.in[n:]
		if len(s.in) == 0 && s.wrong == StallStatus {
			s.stalled[true], s.wrong = true, Nothing
		}
		return n, nil
	case s.ends:
		s.ends, s.stalled[true] = false, true
		return 0, usbstick.ErrStall
	case s.wrong == Empty:
		s.wrong = Nothing
		return 0, nil
	case s.wrong == LongStatus:
		return copy(buf, append(s.status, s.status...)), errors.New("overflow")
	case s.status == nil:
		return 0, usbstick.ErrTimeout // nothing to say
	}
	n := copy(buf, s.status)
	s.status = nil
	return n, nil
}

// Clear ends a stall.
func (s *Stick) Clear(in bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Clears++
	if s.gone {
		return usbstick.ErrGone
	}
	delete(s.stalled, in)
	return nil
}

// ResetClass forgets the exchange.
func (s *Stick) ResetClass(time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Resets++
	switch {
	case s.gone:
		return usbstick.ErrGone
	case s.Faults.NoReset:
		return usbstick.ErrStall
	}
	s.stuck, s.in, s.out, s.status = false, nil, nil, nil
	return nil
}

// ResetPort forgets everything.
func (s *Stick) ResetPort() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Ports++
	if s.gone {
		return usbstick.ErrGone
	}
	s.stuck, s.in, s.out, s.status, s.stalled = false, nil, nil, nil, map[bool]bool{}
	return nil
}

// Close says that the driver let go.
func (s *Stick) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Closed = true
	return nil
}
