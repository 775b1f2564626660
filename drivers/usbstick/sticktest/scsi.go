package sticktest

import "encoding/binary"

// answer carries a command out.
func (s *Stick) answer(cdb []byte, want int) {
	if cdb[0] != 0x12 && cdb[0] != 0x03 && s.Faults.Attention > 0 {
		s.Faults.Attention--
		s.fail(6, 0x29, 0)
		return
	}
	switch cdb[0] {
	case 0x00: // TEST UNIT READY
		s.unitReady()
	case 0x03: // REQUEST SENSE
		s.giveSense(want)
	case 0x12: // INQUIRY
		b := make([]byte, 36)
		b[0], b[1], b[4] = s.Faults.Type, 0x80, 31
		copy(b[8:], "Choba   Made-up stick   1.0 ")
		if s.Faults.ShortName {
			b = b[:5]
		}
		s.give(b, want)
	case 0x25: // READ CAPACITY(10)
		b := make([]byte, 8)
		binary.BigEndian.PutUint32(b, uint32(min(s.blocks()-1, 0xffffffff)))
		binary.BigEndian.PutUint32(b[4:], s.block())
		s.give(b, want)
	case 0x9e: // READ CAPACITY(16)
		b := make([]byte, 32)
		binary.BigEndian.PutUint64(b, s.blocks()-1)
		binary.BigEndian.PutUint32(b[8:], s.block())
		s.give(b, want)
	case 0x28: // READ(10)
		s.read(uint64(binary.BigEndian.Uint32(cdb[2:])), uint64(binary.BigEndian.Uint16(cdb[7:])), want)
	case 0x88: // READ(16)
		s.read(binary.BigEndian.Uint64(cdb[2:]), uint64(binary.BigEndian.Uint32(cdb[10:])), want)
	case 0x2a: // WRITE(10)
		s.write(uint64(binary.BigEndian.Uint32(cdb[2:])), uint64(binary.BigEndian.Uint16(cdb[7:])), want)
	case 0x35: // SYNCHRONIZE CACHE
		if s.Faults.NoSync {
			s.fail(5, 0x20, 0)
			return
		}
		s.Syncs++
	default:
		s.fail(5, 0x20, 0)
	}
}

func (s *Stick) unitReady() {
	switch {
	case s.Faults.Empty:
		s.fail(2, 0x3a, 0)
	case s.Faults.NotReady > 0:
		s.Faults.NotReady--
		s.fail(2, 4, 1)
	}
}

// giveSense is the only command whose exchange may fail while another's failure is asked for.
func (s *Stick) giveSense(want int) {
	b := make([]byte, 18)
	b[0], b[2], b[7], b[12], b[13] = 0x70, s.sense[0], 10, s.sense[1], s.sense[2]
	switch s.Faults.Wrong {
	case NoSense:
		s.status[12] = 1
		return
	case OddSense:
		b[0] = 0x11
	}
	s.give(b, want)
}

func (s *Stick) blocks() uint64 {
	if s.Faults.Blocks != 0 {
		return s.Faults.Blocks
	}
	return uint64(len(s.Data)) / 512
}

func (s *Stick) give(b []byte, want int) { s.in = b[:min(len(b), want)] }

func (s *Stick) place(lba, count uint64) []byte {
	block := uint64(s.block())
	if lba > uint64(len(s.Data)) || count > 1<<16 || (lba+count)*block > uint64(len(s.Data)) {
		s.fail(5, 0x21, 0)
		return nil
	}
	return s.Data[lba*block : (lba+count)*block]
}

func (s *Stick) read(lba, count uint64, want int) { s.give(s.place(lba, count), want) }

func (s *Stick) write(lba, count uint64, want int) {
	if s.Faults.Protected {
		s.fail(7, 0x27, 0)
	} else if b := s.place(lba, count); len(b) == want {
		s.out = b
	}

}
