#!/usr/bin/env bash
# capture.sh FILE FILTER COMMAND…: captures what passes loopback and matches the tcpdump
# expression FILTER into FILE while COMMAND runs, and ends with its exit code.
#
# It takes root, or CAP_NET_RAW; COMMAND runs as $SUDO_USER where sudo was used. It
# captures for 10 minutes at the most; INTERFACE=any (or eth0, …) captures elsewhere.
set -euo pipefail
[ $# -ge 3 ] || { echo "usage: capture.sh FILE FILTER COMMAND…" >&2; exit 2; }
file=$1 filter=$2
shift 2

log=$(mktemp)
mkdir -p "$(dirname "$file")"
# --immediate-mode and -U: nothing is left in a buffer when it ends. -Z root: it writes
# into a folder that the user tcpdump may not.
timeout --signal=INT 600 tcpdump -i "${INTERFACE:-lo}" --immediate-mode -U -Z "$(id -un)" -w "$file" "$filter" 2>"$log" &
tcpdump=$!
trap 'kill -INT "$tcpdump" 2>/dev/null || true; rm -f "$log"' EXIT

for _ in $(seq 100); do # what is sent before it listens is missing
	grep -q 'listening on' "$log" && break
	kill -0 "$tcpdump" 2>/dev/null || { cat "$log" >&2; exit 2; }
	sleep 0.1
done
grep -q 'listening on' "$log" || { echo "capture.sh: tcpdump does not begin to listen" >&2; exit 2; }

code=0
if [ -n "${SUDO_USER:-}" ]; then
	sudo -u "$SUDO_USER" --preserve-env "$@" || code=$?
else
	"$@" || code=$?
fi

sleep 1 # what the service still sends is in it
kill -INT "$tcpdump"
wait "$tcpdump" || true
cat "$log" >&2 # how many frames were captured, and dropped
[ -z "${SUDO_USER:-}" ] || chown "$SUDO_USER" "$file"
exit "$code"
