#!/bin/sh
# Choose versions anew and write requirements/*.txt and the npm locks: names, versions, hashes,
# and no registry's address, because people install from mirrors.
set -eu
cd "$(dirname "$0")/.."

venv=.cache/lock
[ -x "$venv/bin/python" ] || { mkdir -p .cache; scripts/make_venv.sh "$venv"; }
# The maker of hashes is itself held only by its version; nothing it installs is run by users.
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check pip-tools==7.6.2

for name in build node runtime dev; do
    echo "Locking requirements/$name.in ..."
    "$venv/bin/pip-compile" --quiet --upgrade --generate-hashes --no-strip-extras --allow-unsafe \
        --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
        --output-file "requirements/$name.txt" "requirements/$name.in"
done
for folder in web tests/asyncapi tests/axe; do
    echo "Locking $folder/package.json ..."
    scripts/npm.sh install --prefix "$folder" --package-lock-only
done
