#!/usr/bin/env python3
"""Writes the captures here with scapy: generate.py DIRECTORY.

Each has two segments of a flow, one of 3,001 octets of payload and one of 700,
cut into fragments. Checksums are right.
"""
import random
import sys

from scapy.all import *
from scapy.layers.vxlan import VXLAN

out = sys.argv[1]
random.seed(4)
E = Ether(src="02:00:00:00:00:02", dst="02:00:00:00:00:01")
TS = [("NOP", None), ("NOP", None), ("Timestamp", (7, 8))]


def segments(ip):
    """The two segments over an IP header, in bytes and back: checksums filled in."""
    for n, (seq, size) in enumerate([(1000, 3001), (4001, 700)]):
        p = ip.copy() / TCP(sport=51544, dport=5432, flags="PA", seq=seq, ack=2000, options=TS) / (b"x" * size)
        if p.haslayer(IP):
            p[IP].id = 100 + n
        yield p.__class__(bytes(p))


def cut4(p, size):
    return [Ether(bytes(E / f)) for f in fragment(p, size)]


def cut6(p, size, number):
    """IPv6 fragments behind the unfragmentable part, which is the IPv6 header."""
    body, pieces = bytes(p.payload), []
    for at in range(0, len(body), size):
        more = int(at + size < len(body))
        h = IPv6ExtHdrFragment(nh=p.nh, offset=at // 8, m=more, id=number)
        pieces.append(E / IPv6(src=p.src, dst=p.dst, nh=44) / h / Raw(body[at:at + size]))
    return pieces


def write(name, frames):
    for i, f in enumerate(frames):
        f.time = 1000 + i / 1000
    wrpcap(f"{out}/{name}.pcap", frames, linktype=1)


ip4, ip6 = IP(src="10.0.0.5", dst="10.0.0.9"), IPv6(src="2001:db8::5", dst="2001:db8::9")
a, b = (cut4(p, 1000) for p in segments(ip4))
write("in_order", a + b)
write("reversed", a[::-1] + b[::-1])
mixed = a + cut4(list(segments(ip4))[1], 200)
random.shuffle(mixed)
write("interleaved", mixed)
write("repeated", [a[0], a[0], a[1], a[1], a[2], a[2], a[3]] + b)
write("tiny", cut4(list(segments(ip4))[1], 8))
write("vlan", [E / Dot1Q(vlan=7) / f[IP] for f in a + b])
write("ipv6", sum((cut6(p, 1200, 77 + n) for n, p in enumerate(segments(ip6))), []))
write("ipv6_reversed", sum((cut6(p, 1200, 77 + n)[::-1] for n, p in enumerate(segments(ip6))), []))
write("ipv6_options", sum((cut6(p, 400, 77 + n) for n, p in enumerate(segments(ip6 / IPv6ExtHdrDestOpt()))), []))
tunnel = IP(src="192.0.2.1", dst="192.0.2.2")
write("ipip", sum((cut4(IP(bytes(tunnel / p)), 1400) for p in segments(ip4)), []))
write("vxlan_tiny", cut4(IP(bytes(tunnel / UDP(sport=40000, dport=4789) / VXLAN(vni=42, flags=8) / E / list(segments(ip4))[1])), 16))
inner = sum((fragment(p, 1480) for p in segments(ip4)), [])
nested = []
for n, p in enumerate(inner):
    q = tunnel.copy()
    q.id = 500 + n
    nested += cut4(IP(bytes(q / p)), 1400)
write("fragments_in_fragments", nested)
