#!/bin/sh
# Writes what tshark finds in each capture here: file, frame, ports, sequence
# number and payload length of the innermost segment. The options are for what
# tshark cannot know by itself.
for f in *.pcap; do
	name=${f%.pcap}
	case $name in
	vxlan_8472) o='-d udp.port==8472,vxlan' ;;
	tpid_9[23]00) o="-o vlan.qinq_ethertype:0x${name#tpid_}" ;;
	pseudowire) o='-d mpls.label==32,pwethnocw' ;;
	pseudowire_cw) o='-d mpls.label==32,pwethcw' ;;
	l2tp3 | l2tp3_udp) o='-d l2tp.pw_type==0,eth' ;;
	l2tp3_cookie_sublayer) o='-d l2tp.pw_type==0,eth -o l2tp.cookie_size:8?Byte?Cookie -o l2tp.l2_specific:Default?L2-Specific' ;;
	*) o= ;;
	esac
	# shellcheck disable=SC2086 # options are words; ? stands for a space in one
	set -- $o
	for a; do set -- "$@" "$(echo "$a" | tr '?' ' ')"; shift; done
	tshark -n -r "$f" "$@" -Y tcp -T fields -E occurrence=l -e frame.number -e tcp.srcport -e tcp.dstport -e tcp.seq_raw -e tcp.len 2>/dev/null |
		tr '\t' ' ' | sed "s/^/$name /"
done
