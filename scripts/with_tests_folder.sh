#!/bin/sh
# Run a command with TMPDIR in memory, where there is room for it: the tests' thousands of small
# databases would wait for the disk at each commit. What is left behind goes with the folder.
set -eu

in_memory=/dev/shm
needed_kb=4194304
free_kb=$(df -Pk "$in_memory" 2>/dev/null | awk 'NR == 2 { print $4 }')
if [ -w "$in_memory" ] && [ "${free_kb:-0}" -ge "$needed_kb" ]; then
    folder=$(mktemp -d "$in_memory/onestop-tests-XXXXXX")
    # PostgreSQL runs as another user, who has to pass through.
    chmod 755 "$folder"
    trap 'rm -rf "$folder"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    export TMPDIR="$folder"
fi
"$@"
