package facts

import (
	"encoding/binary"
	"net/netip"
	"syscall"
)

// addressesByIndex asks for all addresses at once: package net asks again for
// each interface, which takes too long on a host with hundreds.
func addressesByIndex() map[int][]netip.Prefix {
	dump, err := syscall.NetlinkRIB(syscall.RTM_GETADDR, syscall.AF_UNSPEC)
	if err != nil {
		return nil
	}
	messages, err := syscall.ParseNetlinkMessage(dump)
	if err != nil {
		return nil
	}
	byIndex := map[int][]netip.Prefix{}
	for _, m := range messages {
		if m.Header.Type != syscall.RTM_NEWADDR || len(m.Data) < syscall.SizeofIfAddrmsg {
			continue
		}
		bits, index := int(m.Data[1]), int(binary.NativeEndian.Uint32(m.Data[4:]))
		attrs, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil || len(byIndex[index]) >= 2*maxAddresses {
			continue
		}
		var addr netip.Addr
		for _, a := range attrs {
			// IFA_LOCAL is the own address where IFA_ADDRESS is the peer's.
			if ip, ok := netip.AddrFromSlice(a.Value); ok && (a.Attr.Type == syscall.IFA_LOCAL || a.Attr.Type == syscall.IFA_ADDRESS && !addr.IsValid()) {
				addr = ip
			}
		}
		if addr.IsValid() {
			byIndex[index] = append(byIndex[index], netip.PrefixFrom(addr, bits))
		}
	}
	return byIndex
}
