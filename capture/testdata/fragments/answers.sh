#!/bin/sh
# Writes what tshark finds in each capture here: file, frame, ports, sequence
# number and payload length of the innermost segment. It puts fragments together
# at the frame that completes them, too.
for f in *.pcap; do
	tshark -n -r "$f" -Y tcp -T fields -E occurrence=l -e frame.number -e tcp.srcport -e tcp.dstport -e tcp.seq_raw -e tcp.len 2>/dev/null |
		tr '\t' ' ' | sed "s/^/${f%.pcap} /"
done
