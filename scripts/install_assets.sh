#!/bin/sh
# Put the page assets that web/package-lock.json names into web/static/vendor/, served by ourselves.
set -eu
cd "$(dirname "$0")/.."

scripts/npm.sh ci --prefix web >/dev/null
mkdir -p web/static/vendor
cp web/node_modules/htmx.org/dist/htmx.min.js web/node_modules/htmx-ext-sse/dist/sse.min.js \
    web/static/vendor/
