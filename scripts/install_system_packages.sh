#!/bin/sh
# What `make test` needs from Debian: brokers, a database, a browser, an RTSP server.
# Installs what is missing as root or with sudo; without either it says what is missing, and fails.
set -eu

packages="
    mosquitto
    rabbitmq-server
    postgresql
    chromium
    python3-gi
    gir1.2-gst-rtsp-server-1.0
    gstreamer1.0-plugins-base
    gstreamer1.0-plugins-good
    gstreamer1.0-plugins-bad
"

if ! command -v dpkg-query >/dev/null; then
    echo "This is no Debian: see that these, or their likes, are there:" $packages >&2
    exit 0
fi

missing=""
for package in $packages; do
    status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) || status=""
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root="sudo"
else
    echo "The tests need these Debian packages: apt-get install$missing" >&2
    exit 1
fi

# RUNLEVEL=1: no broker or database is started as a service; the tests start their own.
echo "Installing Debian packages:$missing ..."
$as_root apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
