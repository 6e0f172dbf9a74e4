#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Proves that the pure layers reach the world only through their arguments: what their archives
# need beyond each other must stand in symbols.allow. A stray time() or malloc() fails here,
# whatever header it came from.
#
# Usage: symbols.sh BUILD_DIR
set -eu

layers="base core store trust db proto sync node"
checked="base core trust db proto sync node"
allow="$(dirname "$0")/symbols.allow"

if [ $# -ne 1 ] || [ ! -d "$1" ]; then
    echo "usage: $0 BUILD_DIR" >&2
    exit 2
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
missing=0
for layer in $layers; do
    archive=$(find "$1" -name "libpl_$layer.a" | head -n 1)
    if [ -z "$archive" ]; then
        echo "symbols: libpl_$layer.a is not in $1: build it first" >&2
        missing=1
        continue
    fi
    nm -P -A -g "$archive" | sed "s|^.*\[\(.*\)\]: |pl_$layer \1 |" >> "$scratch/symbols"
done
[ "$missing" -eq 0 ] || exit 2

# Lines of $scratch/symbols: archive, object, symbol, type, ...
bad=0
awk -v checked="$checked" '
    function regex(glob) {
        gsub(/[.]/, "[.]", glob)
        gsub(/[*]/, ".*", glob)
        return "^" glob "$"
    }
    function allowed(archive, object, symbol,    i) {
        for (i = 1; i <= rules; i++)
            if ((section[i] == "*" || section[i] == archive) && symbol ~ name[i] &&
                object ~ home[i])
                return 1
        return 0
    }
    BEGIN {
        count = split(checked, list, " ")
        for (i = 1; i <= count; i++)
            is_checked["pl_" list[i]] = 1
        sanitizer = "^__(asan|ubsan|tsan|msan|lsan|sanitizer|sancov|gcov|llvm)_|^_*__start___san|" \
                    "^__stop___san|^_GLOBAL_OFFSET_TABLE_$|^__tls_get_addr_sancov$"
    }
    FILENAME ~ /allow$/ {
        sub(/#.*/, "")
        if (match($1, /^\[.*\]$/))
            current = substr($1, 2, length($1) - 2)
        else if (NF > 0) {
            rules++
            section[rules] = current
            name[rules] = regex($1)
            home[rules] = NF > 1 ? regex($2) : "."
        }
        next
    }
    $4 == "U" || $4 == "w" { need[$1 " " $2 " " $3] = 1; next }
    { defined[$3] = 1 }
    END {
        for (key in need) {
            split(key, part, " ")
            if (!(part[1] in is_checked) || part[3] in defined || part[3] ~ sanitizer)
                continue
            if (!allowed(part[1], part[2], part[3])) {
                print "lib" part[1] ".a: " part[2] " needs " part[3] \
                      ": remove the call, or allow it in symbols.allow with its reason"
                bad = 1
            }
        }
        exit bad
    }' "$allow" "$scratch/symbols" > "$scratch/report" || bad=$?
if [ "$bad" -ne 0 ]; then
    sort "$scratch/report"
    exit 1
fi
echo "symbols: $(wc -l < "$scratch/symbols") symbols of the pure layers are in order"
