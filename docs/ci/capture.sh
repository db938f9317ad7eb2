#!/usr/bin/env bash
# capture.sh FILE FILTER COMMAND…: captures what passes loopback and matches the tcpdump
# expression FILTER into FILE while COMMAND runs, and ends with its exit code; 2 where
# nothing can be captured.
#
# It takes tcpdump, and root or sudo for that alone. It captures for 10 minutes at the
# most. INTERFACE=any (or eth0, …) captures elsewhere.
set -euo pipefail
[ $# -ge 3 ] || { echo "usage: capture.sh FILE FILTER COMMAND…" >&2; exit 2; }
file=$1 filter=$2
shift 2

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

dir=$(mktemp -d)
touch "$dir/log"
mkdir -p "$(dirname "$file")"
# sudo does not hand on signals of its own process group, hence the number of the process.
# --immediate-mode and -U leave nothing in a buffer, which has room for as many packets as
# its size (-B) is times that of the longest (-s): headers are enough. After -Z it is ours:
# its file, too, and the right to end it.
as_root sh -c 'echo $$ >"$0"; exec tcpdump "$@"' "$dir/pid" -i "${INTERFACE:-lo}" --immediate-mode -U -s 192 -B 16384 \
	-G 600 -W 1 -Z "$(id -un)" -w "$file" "$filter" 2>"$dir/log" &
tcpdump=$!
trap 'kill "$(cat "$dir/pid")" 2>/dev/null || true; wait "$tcpdump" || true; rm -rf "$dir"' EXIT

for _ in $(seq 100); do # what is sent before it listens is missing
	grep -q 'listening on' "$dir/log" && break
	kill -0 "$tcpdump" 2>/dev/null || break
	sleep 0.1
done
if ! grep -q 'listening on' "$dir/log"; then
	cat "$dir/log" >&2
	echo "capture.sh: tcpdump does not capture" >&2
	exit 2
fi

code=0
"$@" || code=$?

sleep 1 # what the service still sends is in it
kill "$(cat "$dir/pid")" 2>/dev/null || true
wait "$tcpdump" || true
cat "$dir/log" >&2
if ! grep -q '^0 packets dropped by kernel' "$dir/log"; then
	echo "capture.sh: $file is not whole: packets were dropped" >&2
	code=2
fi
exit "$code"
