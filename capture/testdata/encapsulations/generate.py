#!/usr/bin/env python3
"""Writes the captures here with scapy: generate.py DIRECTORY.

Each has the same three segments over IPv4, and again over IPv6 where it can
carry both, in one encapsulation. What scapy has no layer for is put together
from octets, by the specification that the decoder cites.
"""
import struct
import sys

from scapy.all import *
from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTP_U_Header
from scapy.contrib.erspan import *
from scapy.contrib.mpls import MPLS
from scapy.contrib.nsh import NSH
from scapy.contrib.macsec import MACsec
from scapy.contrib.etherip import EtherIP
from scapy.contrib.chdlc import CHDLC
from scapy.contrib.tzsp import TZSP
from scapy.layers.vxlan import VXLAN
from scapy.layers.l2tp import L2TP
from scapy.layers.ppp import *

out = sys.argv[1]


def flow(v6=False):
    """The packets of the tests: one per direction."""
    if v6:
        a,b="2001:db8::5","2001:db8::9"; ip=lambda s,d: IPv6(src=s,dst=d,hlim=63)
    else:
        a,b="10.0.0.5","10.0.0.9"; ip=lambda s,d: IP(src=s,dst=d,ttl=64,id=4660)
    return [ip(a,b)/TCP(sport=51544,dport=5432,flags="S",seq=1000,window=501,options=[("MSS",1460),("SAckOK",b""),("WScale",7)]),
            ip(b,a)/TCP(sport=5432,dport=51544,flags="SA",seq=4000000000,ack=1001,window=502),
            ip(a,b)/TCP(sport=51544,dport=5432,flags="PA",seq=1001,ack=4000000001,window=501)/b"hello"]
E=lambda t=None: Ether(src="02:00:00:00:00:02",dst="02:00:00:00:00:01",**({} if t is None else {"type":t}))
OUT=lambda: IP(src="192.0.2.1",dst="192.0.2.2")
OUT6=lambda: IPv6(src="2001:db8:ffff::1",dst="2001:db8:ffff::2")
def write(name, link, wrap, v6=False, both=False):
    pk=[bytes(wrap(p)) for p in flow(v6)]
    if both: pk+= [bytes(wrap(p)) for p in flow(True)]
    with open(f"{out}/{name}.pcap","wb") as f:
        f.write(struct.pack("<IHHiIII",0xa1b2c3d4,2,4,0,0,262144,link))
        for i,b in enumerate(pk):
            f.write(struct.pack("<IIII",1700000000+i,0,len(b),len(b))+b)
raw=lambda octets,p: octets+bytes(p)
et=lambda p: b"\x08\x00" if isinstance(p,IP) else b"\x86\xdd"
M=b"\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02"
snap=lambda p: b"\xaa\xaa\x03\0\0\0"+et(p)
ppp=lambda p: b"\x00\x21" if isinstance(p,IP) else b"\x00\x57"
W=lambda n,l,w: write(n,l,w,both=True)
# link layers
W("vlan",1,lambda p:E()/Dot1Q(vlan=100)/p)
W("qinq",1,lambda p:E(0x88a8)/Dot1AD(vlan=5)/Dot1Q(vlan=77)/p)
for t in (0x9100,0x9200,0x9300): W("tpid_%x"%t,1,lambda p:raw(M+struct.pack("!HH",t,5)+b"\x81\0\0\x4d"+et(p),p))
W("pbb",1,lambda p:raw(M+b"\x88\xa8\0\x09\x88\xe7\0\0\x30\x39"+M+et(p),p))
W("vntag",1,lambda p:raw(M+b"\x89\x26\0\x01\0\x02"+et(p),p))
W("etag",1,lambda p:raw(M+b"\x89\x3f\0\x01\0\x02\0\0"+et(p),p))
W("fabricpath",1,lambda p:raw(M+b"\x89\x03\0\x60"+M+et(p),p)+b"\0"*4)
W("metadata",1,lambda p:raw(M+b"\x89\x09\x01\x01\0\x01\0\x07"+et(p),p))
W("macsec_clear",1,lambda p:bytes(E()/MACsec(SCI=b"\0"*8,SC=1,E=0,C=0,an=0,pn=1,type=0x800 if isinstance(p,IP) else 0x86dd)/p)+b"\0"*16)
W("hsr",1,lambda p:raw(M+b"\x89\x2f"+struct.pack("!HH",0x50,1)+et(p),p))
W("nsh",1,lambda p:raw(M+b"\x89\x4f\x0f\xc6\x01"+(b"\x01" if isinstance(p,IP) else b"\x02")+b"\0\0\x01\xff"+b"\0"*16,p))
W("mpls",1,lambda p:E(0x8847)/MPLS(label=16,s=0,ttl=64)/MPLS(label=32,s=1,ttl=64)/p)
W("mpls_multicast",1,lambda p:E(0x8848)/MPLS(label=32,s=1,ttl=64)/p)
W("pseudowire_cw",1,lambda p:raw(bytes(E(0x8847)/MPLS(label=32,s=1,ttl=64))+b"\0\0\0\x07"+M+et(p),p))
W("pseudowire",1,lambda p:raw(bytes(E(0x8847)/MPLS(label=32,s=1,ttl=64))+M+et(p),p))
W("snap",1,lambda p:raw(M+struct.pack("!H",8+len(p))+snap(p),p))
W("pppoe",1,lambda p:E()/PPPoE(sessionid=1)/PPP(proto=0x21 if isinstance(p,IP) else 0x57)/p)
W("cooked1",113,lambda p:raw(b"\0\0\0\x01\0\x06"+M[:6]+b"\0\0"+et(p),p))
W("cooked2",276,lambda p:raw(et(p)+b"\0\0\0\0\0\x03\0\x01\0\x06"+M[:6]+b"\0\0",p))
W("null",0,lambda p:raw(struct.pack("<I",2 if isinstance(p,IP) else 30),p))
W("loop",108,lambda p:raw(struct.pack("!I",2 if isinstance(p,IP) else 24),p))
W("raw",101,lambda p:p)
W("ppp",9,lambda p:raw(b"\xff\x03"+ppp(p),p))
W("ppp_hdlc",50,lambda p:raw(b"\xff\x03"+ppp(p),p))
W("chdlc_as_ppp",50,lambda p:raw(b"\x0f\0"+et(p),p))
W("pppd",166,lambda p:raw(b"\0\x03"+ppp(p),p))
W("ppp_with_dir",204,lambda p:raw(b"\x01\xff\x03"+ppp(p),p))
W("pppoe_link",51,lambda p:PPPoE(sessionid=1)/PPP(proto=0x21 if isinstance(p,IP) else 0x57)/p)
W("chdlc",104,lambda p:raw(b"\x0f\0"+et(p),p))
W("chdlc_with_dir",205,lambda p:raw(b"\x01\x0f\0"+et(p),p))
W("frelay",107,lambda p:raw(b"\x18\x41\x03"+(b"\xcc" if isinstance(p,IP) else b"\x8e"),p))
W("frelay_snap",107,lambda p:raw(b"\x18\x41\x03\0\x80\0\0\0"+et(p),p))
W("frelay_cisco",107,lambda p:raw(b"\x18\x41"+et(p),p))
W("frelay_with_dir",206,lambda p:raw(b"\x01\x18\x41\x03"+(b"\xcc" if isinstance(p,IP) else b"\x8e"),p))
W("fddi",10,lambda p:raw(b"\x50"+M+snap(p),p))
W("tokenring",6,lambda p:raw(b"\x10\x40"+M+snap(p),p))
W("tokenring_routed",6,lambda p:raw(b"\x10\x40"+M[:6]+b"\x82\0\0\0\0\x02\x06\x90\0\x11\0\x20"+snap(p),p))
W("slip",8,lambda p:raw(b"\0\x45"+b"\0"*14,p))
d11=lambda **k: bytes(Dot11(type=2,addr1="02:00:00:00:00:01",addr2="02:00:00:00:00:02",addr3="02:00:00:00:00:03",**k))
W("dot11",105,lambda p:raw(d11(subtype=0,FCfield="from-DS")+snap(p),p))
W("dot11_qos_radiotap",127,lambda p:raw(bytes(RadioTap())+d11(subtype=8,FCfield="from-DS")+b"\0\0"+snap(p),p))
W("radiotap_padded",127,lambda p:raw(b"\0\0\x11\0\x03\0\0\0"+b"\0"*8+b"\x20"+d11(subtype=8,FCfield="from-DS")+b"\0\0\0\0"+snap(p),p))
W("dot11_wds",105,lambda p:raw(d11(subtype=0,FCfield="to-DS+from-DS",addr4="02:00:00:00:00:04")+snap(p),p))
W("dot11_amsdu",105,lambda p:raw(d11(subtype=8,FCfield="from-DS")+b"\x80\0"+M+struct.pack("!H",8+len(p))+snap(p),p))
W("prism",119,lambda p:raw(struct.pack("<II",0x44,144)+b"\0"*136+d11(subtype=0,FCfield="from-DS")+snap(p),p))
W("avs",163,lambda p:raw(struct.pack("!II",0x80211001,64)+b"\0"*56+d11(subtype=0,FCfield="from-DS")+snap(p),p))
W("ppi_dot11",192,lambda p:raw(struct.pack("<BBHI",0,0,8,105)+d11(subtype=0,FCfield="from-DS")+snap(p),p))
W("ppi_ethernet",192,lambda p:raw(struct.pack("<BBHI",0,0,8,1)+M+et(p),p))
W("pktap",258,lambda p:raw(struct.pack("<III",108,1,1)+b"en0".ljust(24,b"\0")+b"\0"*72+M+et(p),p))
W("pktap_raw",258,lambda p:raw(struct.pack("<III",108,1,12)+b"utun3".ljust(24,b"\0")+b"\0"*72,p))
W("nflog",239,lambda p:raw((b"\x02" if isinstance(p,IP) else b"\x0a")+b"\0\0\x07\x08\0\x01\0"+et(p)+b"\x01\0\x05\0\x0a\0x\0\0\0"+struct.pack("<HH",4+len(p),9),p))
W("juniper_ethernet",178,lambda p:raw(b"MGC\x81\0\x06\x02\x01\0\x03\x01\x0e"+M+et(p),p))
W("juniper_ppp",179,lambda p:raw(b"MGC\x01\xff\x03"+ppp(p),p))
W("juniper_frelay",180,lambda p:raw(b"MGC\x01\x18\x41\x03"+(b"\xcc" if isinstance(p,IP) else b"\x8e"),p))
W("juniper_chdlc",181,lambda p:raw(b"MGC\x01\x0f\0"+et(p),p))
W("ipnet",226,lambda p:raw(b"\x01"+(b"\x02" if isinstance(p,IP) else b"\x1a")+b"\0\0"+struct.pack("!I",len(p))+b"\0"*16,p))
W("ipoib",242,lambda p:raw(b"\0"*40+et(p)+b"\0\0",p))
W("mpls_link",219,lambda p:MPLS(label=32,s=1,ttl=64)/p)
W("pflog",117,lambda p:raw(bytes([61,2 if isinstance(p,IP) else 24])+b"\0"*62,p))
# tunnels
T=lambda n,w: W(n,1,lambda p:E()/w(p))
T("gre",lambda p:OUT()/GRE()/p)
T("gre_all",lambda p:OUT6()/GRE(chksum_present=1,key_present=1,key=7,seqnum_present=1,sequence_number=1)/p)
T("gre_ethernet",lambda p:OUT()/GRE(key_present=1,key=7)/E()/Dot1Q(vlan=9)/p)
T("nvgre",lambda p:OUT()/GRE(key_present=1,key=5000<<8|90)/E()/p)
T("pptp",lambda p:OUT()/GRE_PPTP(call_id=7,seqnum_present=1,sequence_number=1,payload_len=len(p)+4)/(b"\xff\x03"+ppp(p)+bytes(p)))
T("pptp_ack",lambda p:OUT()/GRE_PPTP(call_id=7,seqnum_present=1,sequence_number=1,acknum_present=1,ack_number=1,payload_len=len(p)+4)/(b"\xff\x03"+ppp(p)+bytes(p)))
T("gre_mpls",lambda p:OUT()/GRE(proto=0x8847)/MPLS(label=32,s=1,ttl=64)/p)
T("erspan1",lambda p:OUT()/GRE(proto=0x88be)/E()/p)
T("erspan2",lambda p:OUT()/GRE(proto=0x88be,seqnum_present=1,sequence_number=1)/raw(b"\x10\x05\x08\x64\0\0\0\0"+M+et(p),p))
T("erspan3",lambda p:OUT()/GRE(proto=0x22eb,seqnum_present=1,sequence_number=1)/raw(b"\x20\x05\x08\x64"+b"\0"*8+M+et(p),p))
T("erspan3_platform",lambda p:OUT()/GRE(proto=0x22eb,seqnum_present=1,sequence_number=1)/raw(b"\x20\x05\x08\x64"+b"\0"*7+b"\x01"+b"\x0c"+b"\0"*7+M+et(p),p))
T("ipip_6in4",lambda p:OUT()/p)
T("4in6_6in6",lambda p:OUT6()/p)
write("6to4",1,lambda p:E()/OUT()/IPv6(src="2002:c000:201::1",dst=p.dst,nh=6)/p[TCP],v6=True)
T("etherip",lambda p:OUT()/EtherIP()/E()/p)
T("mpls_in_ip",lambda p:IP(src="192.0.2.1",dst="192.0.2.2",proto=137)/MPLS(label=32,s=1,ttl=64)/p)
U=lambda n,port,w,sp=40000: T(n,lambda p:OUT()/UDP(sport=sp,dport=port)/w(p))
U("mpls_in_udp",6635,lambda p:MPLS(label=32,s=1,ttl=64)/p)
write("teredo",1,lambda p:E()/OUT()/UDP(sport=40000,dport=3544)/p,v6=True)
write("teredo_auth_origin",1,lambda p:E()/OUT()/UDP(sport=3544,dport=40000)/raw(b"\0\x01\x02\x03abcde"+b"\0"*9+b"\0\0"+b"\0"*6,p),v6=True)
U("ayiya",5072,lambda p:raw(b"\x41\x52\x11"+(b"\x04" if isinstance(p,IP) else b"\x29")+b"\0"*40,p))
U("vxlan",4789,lambda p:VXLAN(vni=42,flags=8)/E()/p)
U("vxlan_vlan",4789,lambda p:VXLAN(vni=42,flags=8)/E()/Dot1Q(vlan=9)/p)
U("vxlan_8472",8472,lambda p:VXLAN(vni=42,flags=8)/E()/p)
U("vxlan_gpe",4790,lambda p:raw(b"\x0c\0\0"+(b"\x01" if isinstance(p,IP) else b"\x02")+b"\0\0\x2a\0",p))
U("vxlan_gpe_ethernet",4790,lambda p:raw(b"\x0c\0\0\x03\0\0\x2a\0"+M+et(p),p))
U("geneve",6081,lambda p:GENEVE(vni=42,proto=0x6558)/E()/p)
U("geneve_options",6081,lambda p:raw(b"\x03\x40\x65\x58\0\0\x2a\0\x01\x08\x80\x02"+b"\0"*8+M+et(p),p))
U("geneve_ip",6081,lambda p:raw(b"\0\0"+et(p)+b"\0\0\x2a\0",p))
U("gtp",2152,lambda p:GTP_U_Header(teid=0x1234)/p)
U("gtp_seq",2152,lambda p:raw(b"\x32\xff"+struct.pack("!HI",len(p)+4,0x1234)+b"\0\x01\0\0",p))
U("gtp_extension",2152,lambda p:raw(b"\x34\xff"+struct.pack("!HI",len(p)+12,0x1234)+b"\0\0\0\x85\x01\0\x09\xc0\x01\0\0\0",p))
U("l2tp2",1701,lambda p:raw(struct.pack("!HHHH",0x4002,len(p)+12,7,9)+b"\xff\x03"+ppp(p),p),sp=1701)
U("l2tp3_udp",1701,lambda p:raw(b"\0\x03\0\0\0\0\x12\x34"+M+et(p),p),sp=1701)
T("l2tp3",lambda p:IP(src="192.0.2.1",dst="192.0.2.2",proto=115)/raw(b"\0\0\x12\x34"+M+et(p),p))
T("l2tp3_cookie_sublayer",lambda p:IP(src="192.0.2.1",dst="192.0.2.2",proto=115)/raw(b"\0\0\x12\x34\xde\xad\xbe\xef\xde\xad\xbe\xef\0\0\0\0"+M+et(p),p))
U("capwap_8023",5247,lambda p:raw(b"\0\x10\x02\0\0\0\0\0"+M+et(p),p))
U("capwap_dot11_swapped",5247,lambda p:raw(b"\0\x10\x03\0\0\0\0\0"+b"\x02\x08"+d11(subtype=0,FCfield="from-DS")[2:]+snap(p),p))
U("tzsp",37008,lambda p:raw(b"\x01\0\0\x01\x01"+M+et(p),p))
U("tzsp_dot11",37008,lambda p:raw(b"\x01\0\0\x12\x0a\x01\xcd\x00\x12\x01\x06\x01"+d11(subtype=0,FCfield="from-DS")+snap(p),p))
T("vxlan_in_gre_in_ipip",lambda p:OUT()/OUT()/GRE()/OUT()/UDP(sport=40000,dport=4789)/VXLAN(vni=42,flags=8)/E()/p)
# encrypted
T("esp",lambda p:IP(src="192.0.2.1",dst="192.0.2.2",proto=50)/raw(b"\0\0\x10\x01\0\0\0\x01",b"\xa5"*60))
U("wireguard",51820,lambda p:raw(b"\x04\0\0\0",b"\xa5"*60))
U("udp_esp",4500,lambda p:raw(b"\0\0\x10\x01\0\0\0\x01",b"\xa5"*60),sp=4500)
W("macsec_encrypted",1,lambda p:raw(M+b"\x88\xe5\x2c\0\0\0\0\x01"+b"\0"*8,b"\xa5"*60))
W("dot11_encrypted",105,lambda p:raw(d11(subtype=0,FCfield="from-DS+protected")+b"\x01\x02\x03\x20\0\0\0\0",b"\xa5"*60))
T("ipv6_extensions",lambda p:OUT6()/IPv6ExtHdrDestOpt()/IPv6ExtHdrRouting()/IPv6ExtHdrHopByHop()/p[TCP] if isinstance(p,IPv6) else p)
