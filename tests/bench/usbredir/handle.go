package usbredir

import "unicode/utf16"

// handle answers one packet of QEMU's.
func (d *Device) handle(p packet) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := p.body
	switch p.kind {
	case typeHello:
		d.announce()
	case typeReset:
		d.reset()
	case typeSetConfig:
		d.setConfig(p.id, b[0])
	case typeGetConfig:
		d.send(typeConfigStatus, p.id, []byte{byte(OK), d.config})
	case typeSetAlt:
		d.alt[b[0]%endpointsN] = b[1]
		d.sendInfo()
		d.send(typeAltStatus, p.id, []byte{byte(OK), b[0], b[1]})
	case typeGetAlt:
		d.send(typeAltStatus, p.id, []byte{byte(OK), b[0], d.alt[b[0]%endpointsN]})
	case typeStartIso, typeStopIso:
		d.send(typeIsoStatus, p.id, []byte{byte(Invalid), b[0]})
	case typeStartInterrupt, typeStopInterrupt:
		e := d.endpoint(b[0])
		e.started, e.nextID = p.kind == typeStartInterrupt, 0
		d.send(typeInterruptStatus, p.id, []byte{byte(OK), b[0]})
		d.pumpInterrupt(b[0])
	case typeCancel:
		d.cancel(p.id)
	case typeFilterReject:
		d.rejected = true
	case typeControl:
		d.control(p)
	case typeBulk:
		d.bulk(p)
	case typeInterrupt: // interrupt OUT: accepted, no model uses it yet
		d.send(typeInterrupt, p.id, []byte{b[0], byte(OK), b[2], b[3]})
	}
}

// reset forgets the configuration and what was queued, not the device.
func (d *Device) reset() {
	d.config = 0
	for _, e := range d.in {
		e.started, e.waiting = false, nil
	}
}

// setConfig must send the endpoints before the status: QEMU reads them then.
func (d *Device) setConfig(id uint64, value byte) {
	d.config, d.alt = value, [endpointsN]byte{}
	d.sendInfo()
	d.send(typeConfigStatus, id, []byte{byte(OK), value})
	select {
	case <-d.configured:
	default:
		close(d.configured)
	}
}

func (d *Device) cancel(id uint64) {
	for ep, e := range d.in {
		for i, r := range e.waiting {
			if r.id == id {
				e.waiting = append(e.waiting[:i:i], e.waiting[i+1:]...)
				d.answerBulk(ep, Cancelled, 0, r, nil)
				return
			}
		}
	}
}

// announce tells QEMU of the device, in the order that it expects.
func (d *Device) announce() {
	d.sendInfo()
	h := make([]byte, 10)
	h[0] = d.model.Speed
	if len(d.model.Device) >= 14 {
		copy(h[1:4], d.model.Device[4:7])
		copy(h[4:10], d.model.Device[8:14])
	}
	d.send(typeConnect, 0, h)
}

// sendInfo derives ep_info and interface_info from the configuration
// descriptor. Index 0 and 16 stay control whatever the descriptor says: another
// type there aborts QEMU 7.2.
func (d *Device) sendInfo() {
	ep, ifs := make([]byte, 160), make([]byte, 132)
	for i := range endpointsN {
		ep[i] = 255
	}
	ep[0], ep[16] = 0, 0
	le.PutUint16(ep[96:], 64)
	le.PutUint16(ep[96+2*16:], 64)
	n, number, chosen := 0, byte(0), false
	for b := d.model.Config; len(b) >= 2 && b[0] >= 2 && int(b[0]) <= len(b); b = b[b[0]:] {
		switch {
		case b[1] == 4 && b[0] >= 9:
			number, chosen = b[2], b[3] == d.alt[b[2]%endpointsN]
			if chosen && n < endpointsN {
				ifs[4+n], ifs[36+n], ifs[68+n], ifs[100+n] = b[2], b[5], b[6], b[7]
				n++
			}
		case b[1] == 5 && b[0] >= 7 && chosen:
			i := int(b[2]&0x80)>>3 | int(b[2]&15)
			if i == 0 || i == 16 {
				continue
			}
			ep[i], ep[32+i], ep[64+i] = b[3]&3, b[6], number
			le.PutUint16(ep[96+2*i:], le.Uint16(b[4:])&0x7ff)
		}
	}
	le.PutUint32(ifs, uint32(n))
	d.send(typeEndpointInfo, 0, ep)
	d.send(typeInterfaceInfo, 0, ifs)
}

// control answers a control transfer. In the packet the request comes before
// the request type, the other way round than in a USB setup packet.
func (d *Device) control(p packet) {
	b := p.body
	s := Setup{Type: b[2], Request: b[1], Value: le.Uint16(b[4:]), Index: le.Uint16(b[6:]), Length: le.Uint16(b[8:])}
	answer, status := d.answer(s, b[10:])
	if len(answer) > int(s.Length) {
		answer = answer[:s.Length]
	}
	length := len(answer)
	if s.Type&0x80 == 0 { // host to device: the length accepted, no data
		length, answer = int(s.Length), nil
	}
	h := append([]byte{}, b[:10]...)
	h[3] = byte(status)
	le.PutUint16(h[8:], uint16(length))
	d.send(typeControl, p.id, append(h, answer...))
}

func (d *Device) answer(s Setup, data []byte) ([]byte, Status) {
	if s.Type&0x60 != 0 { // class or vendor
		if d.model.Class == nil {
			return nil, Stall
		}
		return d.model.Class(s, data)
	}
	switch s.Request {
	case 0: // GET_STATUS
		return []byte{0, 0}, OK
	case 1, 3: // CLEAR_FEATURE, SET_FEATURE
		return nil, OK
	case 6: // GET_DESCRIPTOR
		return d.descriptor(byte(s.Value>>8), int(s.Value&0xff), int(s.Index))
	}
	return nil, Stall
}

func (d *Device) descriptor(kind byte, index, iface int) ([]byte, Status) {
	switch kind {
	case 1:
		return d.model.Device, OK
	case 2:
		return d.model.Config, OK
	case 3:
		if index == 0 {
			return []byte{4, 3, 9, 4}, OK // English (United States)
		}
		if index <= len(d.model.Strings) {
			return stringDescriptor(d.model.Strings[index-1]), OK
		}
	case 0x22:
		if r, ok := d.model.Reports[iface]; ok {
			return r, OK
		}
	}
	return nil, Stall
}

func stringDescriptor(s string) []byte {
	b := []byte{0, 3}
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	b[0] = byte(len(b))
	return b
}

func (d *Device) bulk(p packet) {
	b := p.body
	length := int(le.Uint16(b[2:])) | int(le.Uint16(b[8:]))<<16
	r := request{p.id, length, le.Uint32(b[4:])}
	if b[0]&0x80 != 0 {
		e := d.endpoint(b[0])
		e.waiting = append(e.waiting, r)
		d.pumpBulk(b[0])
		return
	}
	if d.model.BulkOut != nil {
		d.model.BulkOut(b[0], b[10:])
	}
	d.answerBulk(b[0], OK, length, r, nil)
}
