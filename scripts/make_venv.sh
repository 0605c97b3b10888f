#!/bin/sh
# Make a virtual environment with a Python that is new enough. Usage: make_venv.sh FOLDER
# PYTHON=… names one; otherwise the version the locks were made with comes first.
set -eu

new_enough='import sys; sys.exit(sys.version_info < (3, 11))'
for python in ${PYTHON:-python3.11 python3.12 python3.13 python3.14 python3}; do
    command -v "$python" >/dev/null && "$python" -c "$new_enough" 2>/dev/null || continue
    "$python" -m venv "$1" && exit 0
    rm -rf "$1"
    echo "$python can't make a virtual environment; on Debian: apt-get install python3-venv" >&2
    exit 1
done
echo "Python 3.11 or newer is needed and was not found; PYTHON=/path/to/python names one" >&2
exit 1
