#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The Debian package in a bare Debian 12 that boots systemd in a container: installed, started under
# its unit, looked at, killed, upgraded, removed and purged. Takes some minutes, needs root, the
# network, debootstrap and systemd-container; so no part of ctest.
#
# Usage: sh tests/package/chroot.sh [BASE]
#
# Builds the packages (tools/build-deb.sh) unless build/deb/packages has some. BASE is a directory
# with a minimal Debian 12 with systemd, made if it is missing and not changed; default
# build/debian-12.
# The container has a network of its own. Prints "chroot: ok" when all is as it should be.
set -eu

cd "$(dirname "$0")/../.."
base=${1:-build/debian-12}
name=parley-test-$$
copy=$(mktemp -d /var/tmp/parley-chroot.XXXXXX)
include=systemd,systemd-sysv,init-system-helpers,dbus,curl,iproute2
leader=""

say() { printf '== %s\n' "$*"; }
fail() { printf 'chroot: FAILED: %s\n' "$*" >&2; exit 1; }

cleanup() {
    [ -z "$leader" ] || kill -KILL "$leader" 2>/dev/null || true
    [ -z "${nspawn:-}" ] || wait "$nspawn" 2>/dev/null || true
    rm -rf --one-file-system "$copy"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

[ -d build/deb/packages ] || sh tools/build-deb.sh
[ -d "$base" ] || debootstrap --variant=minbase --include=$include bookworm "$base"
if command -v lintian >/dev/null; then
    say "lintian: no errors"
    lintian --fail-on error --tag-display-limit 0 build/deb/packages/*.deb
else
    echo "SKIPPED: lintian is not installed: the packages were NOT checked by it"
fi

cp -a "$base/." "$copy"
mkdir -p "$copy/packages"
cp build/deb/packages/*.deb "$copy/packages"
# The same package under a higher number: what an upgrade is.
dpkg-deb -R build/deb/packages/parley_*.deb "$copy/packages/next"
sed -i 's/^Version: .*/&+next/' "$copy/packages/next/DEBIAN/control"
dpkg-deb --root-owner-group -b "$copy/packages/next" "$copy/packages/next.deb" >/dev/null
# Documentation is left out of minimal systems; here it is looked for.
rm -f "$copy"/etc/dpkg/dpkg.cfg.d/*

say "booting"
systemd-nspawn -q --register=no --keep-unit --private-network -M "$name" -D "$copy" -b \
    >"$copy.log" 2>&1 </dev/null &
nspawn=$!
for _ in $(seq 300); do
    leader=$(pgrep -P "$nspawn" -x systemd || true)
    [ -z "$leader" ] || break
    sleep 0.2
done
[ -n "$leader" ] || fail "the container did not boot: $(tail -5 "$copy.log")"
inside() {
    nsenter -t "$leader" -m -u -i -n -p -r -w -- env PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}
until_true() { # until_true SECONDS TEXT COMMAND...
    seconds=$1 text=$2
    shift 2
    for _ in $(seq $((seconds * 5))); do
        ! "$@" >/dev/null 2>&1 || return 0
        sleep 0.2
    done
    inside journalctl -u parleyd --no-pager -n 30 >&2 || true
    fail "$text"
}
until_true 60 "systemd is not up" inside systemctl is-active basic.target
inside ip link set lo up

say "install"
# libraries of Debian that the package depends on come from the network, which the container lacks
depends=$(dpkg-deb -f build/deb/packages/parley_*.deb Depends | tr ',' '\n' |
    sed 's/^ *//; s/[ (|].*//' | grep -v '^parley\|^libparley' | sort -u)
chroot "$copy" sh -c "apt-get update -qq && apt-get install -y -qq --no-install-recommends \
    $(echo $depends)" >/dev/null 2>&1 || fail "cannot install: $depends"
inside dpkg -i "/packages/$(basename build/deb/packages/parley_*.deb)" >/dev/null
[ "$(inside systemctl is-active parleyd || true)" = inactive ] || fail "started unasked"
inside parley version
inside test -s /usr/share/man/man1/parley.1.gz
inside test -s /usr/share/bash-completion/completions/parley
inside sh -c 'dpkg --verify parley && test -z "$(dpkg --verify parley)"' || fail "files differ"

say "start under the unit's settings"
inside systemctl start parleyd || { inside journalctl -u parleyd --no-pager >&2; fail "start"; }
inside parley --data /var/lib/parley health
inside parley --data /var/lib/parley append bread --role user 'kept over all of this' >/dev/null
pid=$(inside systemctl show -P MainPID parleyd)
user=$(inside stat -c %u /proc/"$pid")
# the range of systemd for users that it makes
[ "$user" -ge 61184 ] && [ "$user" -le 65519 ] || fail "runs as user $user"
grep_status() { inside grep -q "$1" "/proc/$pid/status" || fail "not so: $1"; }
grep_status '^NoNewPrivs:.1'
grep_status '^CapEff:.0000000000000000'
grep_status '^CapBnd:.0000000000000000'
grep_status '^Seccomp:.2'
[ "$(inside stat -c %a /var/lib/private/parley)" = 700 ] || fail "others can look into the data"
inside systemd-analyze security --no-pager parleyd | tail -1

say "the watchdog kills what stands still, and systemd starts it again"
inside mkdir -p /run/systemd/system/parleyd.service.d
printf '[Service]\nWatchdogSec=2\n' |
    inside tee /run/systemd/system/parleyd.service.d/fast.conf >/dev/null
inside systemctl daemon-reload
inside systemctl restart parleyd
sleep 5
[ "$(inside systemctl show -P NRestarts parleyd)" = 0 ] || fail "killed although it lives"
pid=$(inside systemctl show -P MainPID parleyd)
inside kill -STOP "$pid"
until_true 30 "not started again" inside sh -c \
    "test \"\$(systemctl show -P MainPID parleyd)\" != $pid && systemctl is-active parleyd"
until_true 30 "not well after the watchdog" inside parley --data /var/lib/parley health
inside rm -r /run/systemd/system/parleyd.service.d
inside systemctl daemon-reload

say "socket activation"
inside systemctl stop parleyd
inside systemctl start parleyd.socket
[ "$(inside systemctl is-active parleyd || true)" = inactive ] || fail "runs before it is asked"
inside curl -sS --max-time 30 http://127.0.0.1:8825/health | grep -q '"status":"ok"' ||
    fail "the socket does not start it"
inside systemctl restart parleyd
inside curl -sS --max-time 30 http://127.0.0.1:8825/health | grep -q '"status":"ok"' ||
    fail "not served after a restart"
inside systemctl stop parleyd.socket parleyd

say "upgrade keeps what was written, and restarts what runs"
inside systemctl start parleyd
before=$(inside parley --data /var/lib/parley identity --json)
pid=$(inside systemctl show -P MainPID parleyd)
echo '# mine' | inside tee -a /etc/default/parleyd >/dev/null
inside dpkg -i /packages/next.deb >/dev/null
until_true 30 "not well after the upgrade" inside parley --data /var/lib/parley health
[ "$(inside systemctl show -P MainPID parleyd)" != "$pid" ] || fail "the old program still runs"
[ "$(inside parley --data /var/lib/parley identity --json)" = "$before" ] || fail "another identity"
inside parley --data /var/lib/parley show bread | grep -q 'kept over all of this' || fail "lost"
inside grep -q '^# mine' /etc/default/parleyd || fail "the configuration was overwritten"

say "root is refused what would leave files of root, and told how"
inside systemctl stop parleyd
! inside parley --data /var/lib/parley compact 2>/dev/null || fail "root worked on the store"
inside systemd-run -q --pipe --wait -p DynamicUser=yes -p User=parley -p StateDirectory=parley \
    parley --data /var/lib/parley compact || fail "the user of the node cannot compact"
inside systemctl start parleyd

say "a seal from the credential store"
inside systemctl stop parleyd
inside mv /var/lib/private/parley /var/lib/private/parley.kept
inside mkdir -p -m 700 /etc/credstore
inside sh -c 'umask 077; head -c 32 /dev/urandom >/etc/credstore/parley-seal'
inside systemctl start parleyd || fail "credential"
! inside test -e /var/lib/private/parley/seal.key || fail "the credential was not used"
inside systemctl restart parleyd
inside systemctl stop parleyd
inside sh -c 'rm -r /var/lib/private/parley /etc/credstore'
inside mv /var/lib/private/parley.kept /var/lib/private/parley
inside systemctl start parleyd

say "remove and purge stop it and keep the data"
inside dpkg -r parley >/dev/null
! inside pgrep -x parleyd >/dev/null || fail "runs after it was removed"
inside test -e /etc/default/parleyd || fail "removing took the configuration"
inside dpkg -P parley 2>&1 | grep -q '/var/lib/private/parley is kept' || fail "purge says nothing"
! inside test -e /etc/default/parleyd || fail "purging kept the configuration"
inside test -s /var/lib/private/parley/store/data.mdb || fail "purging took the data"
! inside sh -c 'ls /etc/systemd/system/*parley* /var/lib/systemd/deb-systemd-h*/*parley*' \
    >/dev/null 2>&1 || fail "purging left links"

say "the libraries"
chroot "$copy" sh -c 'apt-get install -y -qq --no-install-recommends \
    /packages/libparley*.deb gcc libc6-dev pkgconf' >/dev/null 2>&1 ||
    fail "the libraries cannot be installed"
cp tests/embed/two_stores.c "$copy/packages"
inside sh -c 'cc /packages/two_stores.c -o /packages/two \
    $(pkg-config --cflags --libs parley-node) && mkdir -p /tmp/a /tmp/b &&
    /packages/two /tmp/a /tmp/b 0123456789abcdef0123456789abcdef' || fail "what is built with them"

echo "chroot: ok"
