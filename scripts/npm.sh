#!/bin/sh
# npm with the habits of this project: only what the lock says, no install scripts, no chatter.
# The machine's own npm if its Node is new enough, else the locked one that a Python wheel carries.
set -eu
cd "$(dirname "$0")/.."

node_is_new_enough() {
    command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' 2>/dev/null
}

if ! node_is_new_enough; then
    venv=.cache/node
    if [ ! -e "$venv/.installed" ]; then
        mkdir -p .cache
        rm -rf "$venv"
        scripts/make_venv.sh "$venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            --require-hashes -r requirements/node.txt
        touch "$venv/.installed"
    fi
    PATH="$PWD/$venv/bin:$PATH"
fi
exec npm "$@" --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
