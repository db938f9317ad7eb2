#!/usr/bin/env bash
# The smoke test of the shop that listens on port 7070: a connection for each question.
set -euo pipefail

ask() { # ask LINE ANSWER
	local answer
	exec 3<>/dev/tcp/127.0.0.1/7070
	echo "$1" >&3
	read -r -t 5 answer <&3
	exec 3>&-
	[ "$answer" = "$2" ] || { echo "$1: got $answer, want $2" >&2; return 1; }
}

ask "price tea" "tea 3"
ask "price pot" "pot 20"
ask "watch tea" "tea 3"
ask "price tea" "tea 3"
echo "all answered"
