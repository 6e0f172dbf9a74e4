#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The main job of parley, shown and checked: two nodes keep real conversations equal, and a kill
# changes nothing. Works on a bare Debian 12: installs what is missing, builds, runs.
#
# Usage: sh tools/demo.sh [FILE.jsonl[.gz]]     (default: a small sample)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
file=${1:-$here/sample.jsonl}
build=$top/build/release
scratch=""
local_pid=""
hosted_pid=""

# ---- What every step uses ----

step() {
    printf '\n== %s\n' "$1"
}

fail() {
    printf 'demo: FAILED: %s\n' "$1" >&2
    for name in local hosted; do
        [ -f "$scratch/$name.log" ] && tail -n 5 "$scratch/$name.log" >&2
    done
    exit 1
}

# same WHAT A B: the check of most steps.
same() {
    [ -n "$2" ] || fail "$1: there is nothing to compare"
    [ "$2" = "$3" ] || fail "$1: not the same: $2 and $3"
    printf '   same %s: %s\n' "$1" "$2"
}

clean_up() {
    for pid in $local_pid $hosted_pid; do
        kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done
    [ -n "$scratch" ] && rm -rf "$scratch"
    return 0
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

seconds_now() {
    date +%s.%N
}

seconds_since() {
    awk -v a="$1" -v b="$(seconds_now)" 'BEGIN { printf "%.1f", b - a }'
}

# First member NAME of the pretty JSON on stdin, as plain text.
field() {
    sed -n 's/^ *"'"$1"'": "\{0,1\}\([^",]*\)"\{0,1\},\{0,1\}$/\1/p' | head -n 1
}

local_node() {
    "$parley" --data "$scratch/local" "$@"
}

hosted_node() {
    "$parley" --data "$scratch/hosted" "$@"
}

# start NAME PORT: starts a daemon and waits for the line that says it is ready; sets $pid, $port.
start() {
    mkfifo "$scratch/ready"
    "$parleyd" --data "$scratch/$1" --type "$1" --listen "127.0.0.1:$2" \
        >"$scratch/ready" 2>>"$scratch/$1.log" &
    pid=$!
    line=""
    read -r line <"$scratch/ready" || true
    rm -f "$scratch/ready"
    case $line in
    "parleyd ready on "*) ;;
    *) fail "parleyd --data $scratch/$1 did not start: see its log below" ;;
    esac
    port=$(printf '%s\n' "$line" | sed 's/^parleyd ready on [^ ]*:\([0-9]*\)[ ,].*/\1/')
    printf '   %s node: %s\n' "$1" "$line"
}

sync_both() {
    local_node sync --timeout 600s >/dev/null || fail "local did not get in sync"
    hosted_node sync --timeout 600s >/dev/null || fail "hosted did not get in sync"
}

roots_equal() {
    same "root on both" "$(local_node --json status | field root)" \
        "$(hosted_node --json status | field root)"
}

# ---- Set-up ----

[ -f "$file" ] || fail "$file is not there"

step "Packages and build"
sh "$here/lib/deps.sh" build || fail "packages are missing"
began=$(seconds_now)
scratch=$(mktemp -d)
if ! (cd "$top" && cmake --preset release -DPARLEY_TESTS=OFF -DPARLEY_BENCH=OFF &&
    cmake --build --preset release --target parleyd parley) >"$scratch/build" 2>&1; then
    tail -n 30 "$scratch/build" >&2
    fail "the build failed"
fi
parleyd=$build/tools/parleyd
parley=$build/tools/parley/parley
unset BACKEND_PRIVATE_KEY PARLEY_PASSPHRASE PARLEY_DATA NOTIFY_SOCKET CREDENTIALS_DIRECTORY
printf '   built in %s s\n' "$(seconds_since "$began")"

step "Two nodes start: each makes its key, its store and its name"
start local 0
local_pid=$pid
local_port=$port
start hosted 0
hosted_pid=$pid
hosted_port=$port
local_id=$(local_node --json identity | field backend_id)
hosted_id=$(hosted_node --json identity | field backend_id)

step "The hosted node invites, the local node joins: one line of text"
url=$(hosted_node invite 2>/dev/null)
case $url in
*"127.0.0.1:$hosted_port/"*) ;;
*) fail "the invite does not lead to port $hosted_port: $url" ;;
esac
printf '   %s\n' "$url"
local_node --json join "$url" >"$scratch/join" || fail "the join failed"
same "node as the one that was meant" "$hosted_id" \
    "$(field backend_id <"$scratch/join")"
same "six check digits on both sides" "$(field check <"$scratch/join")" \
    "$(hosted_node --json peers | field check)"

step "The local node imports $file"
began=$(seconds_now)
local_node import "$file" >"$scratch/import" || fail "the import failed"
sed 's/^/   /' "$scratch/import"
import_seconds=$(seconds_since "$began")

step "They sync"
began=$(seconds_now)
sync_both
sync_seconds=$(seconds_since "$began")
printf '   in sync after %s s\n' "$sync_seconds"
roots_equal
local_node --json import "$file" >"$scratch/again" || fail "the second import failed"
same "number of new versions by a second import as none" "$(field versions_new <"$scratch/again")" 0

step "Both sides write at the same time"
conversation=$(local_node --json list --limit 1 | field conversation_id)
message=$(local_node --json show "$conversation" |
    sed -n 's/.*"messages":\[{"message_id":"\([^"]*\)".*/\1/p')
[ -n "$message" ] || fail "the first conversation has no message"
now=$(date -u +%Y-%m-%dT%H:%M:%S.%6NZ)
printf '{"conversation_id":"%s","title":"Renamed on local","updated_at":"%s"}\n' \
    "$conversation" "$now" >"$scratch/title"
printf '{"conversation_id":"%s","metadata":{"mood":"happy"},"updated_at":"%s"}\n' \
    "$conversation" "$now" >"$scratch/tag"
jobs_pids=""
local_node --json import "$scratch/title" >/dev/null & jobs_pids="$jobs_pids $!"
hosted_node --json import "$scratch/tag" >/dev/null & jobs_pids="$jobs_pids $!"
local_node edit "$conversation" "$message" "as local says" >/dev/null & jobs_pids="$jobs_pids $!"
hosted_node edit "$conversation" "$message" "as hosted says" >/dev/null & jobs_pids="$jobs_pids $!"
local_node append "$conversation" --role user "one from local" >/dev/null &
jobs_pids="$jobs_pids $!"
hosted_node append "$conversation" --role user "one from hosted" >/dev/null &
jobs_pids="$jobs_pids $!"
for job in $jobs_pids; do
    wait "$job" || fail "a write was refused"
done
sync_both
roots_equal
hosted_node --json show "$conversation" >"$scratch/hosted.show"
local_node --json show "$conversation" >"$scratch/local.show"
cmp -s "$scratch/local.show" "$scratch/hosted.show" || fail "the conversation differs"
for text in "Renamed on local" '"mood":"happy"' "one from local" "one from hosted"; do
    grep -q "$text" "$scratch/local.show" || fail "this write is gone: $text"
done
printf '   the new title, the new tag and both new messages are on both nodes\n'
for text in "as local says" "as hosted says"; do
    hosted_node history "$conversation" "$message" | grep -q "$text" ||
        fail "this edit is not even in the history: $text"
done
printf '   the later edit won; the other one is in the history\n'

local_node --json peers >"$scratch/peers"
wire_bytes=$(( $(field bytes_in <"$scratch/peers") + $(field bytes_out <"$scratch/peers") ))
local_since=$(field registered_at <"$scratch/peers")
hosted_since=$(hosted_node --json peers | field registered_at)
root=$(local_node --json status | field root)

step "Both are killed with SIGKILL, and start again"
kill -9 "$local_pid" "$hosted_pid"
wait "$local_pid" 2>/dev/null || true
wait "$hosted_pid" 2>/dev/null || true
local_pid=""
hosted_pid=""
start local "$local_port"
local_pid=$pid
start hosted "$hosted_port"
hosted_pid=$pid
same "identity of local as before" "$local_id" \
    "$(local_node --json identity | field backend_id)"
same "identity of hosted as before" "$hosted_id" \
    "$(hosted_node --json identity | field backend_id)"
same "registration on local as before" "$local_since" \
    "$(local_node --json peers | field registered_at)"
same "registration on hosted as before" "$hosted_since" \
    "$(hosted_node --json peers | field registered_at)"
same "root as before" "$root" "$(local_node --json status | field root)"
roots_equal

step "Both write again, and sync without any new registration"
local_node append "$conversation" --role user "local after the kill" >/dev/null
hosted_node append "$conversation" --role user "hosted after the kill" >/dev/null
sync_both
roots_equal
local_node check >/dev/null || fail "the store of local is damaged"
hosted_node check >/dev/null || fail "the store of hosted is damaged"
printf '   both stores pass parley check\n'

step "Both export; the files are compared byte for byte after sorting"
local_node export "$scratch/local.jsonl" | sed 's/^/   /'
hosted_node export "$scratch/hosted.jsonl" >/dev/null
LC_ALL=C sort "$scratch/local.jsonl" >"$scratch/local.sorted"
LC_ALL=C sort "$scratch/hosted.jsonl" >"$scratch/hosted.sorted"
[ -s "$scratch/local.sorted" ] || fail "the export is empty"
cmp "$scratch/local.sorted" "$scratch/hosted.sorted" || fail "the exports differ"
same "checksum of both" "$(cksum <"$scratch/local.sorted")" "$(cksum <"$scratch/hosted.sorted")"

local_node --json status >"$scratch/status"
printf '\n'
printf '   %-32s %14s\n' \
    "conversations" "$(field conversations <"$scratch/status")" \
    "messages" "$(field messages <"$scratch/status")" \
    "bytes on the wire, in and out" "$wire_bytes" \
    "seconds to import" "$import_seconds" \
    "seconds until equal after that" "$sync_seconds"
printf '\ndemo: ok\n'
