#!/usr/bin/env bash
# Puts the refguard of an archive into a folder: URL=https://… SHA256=… bash install.sh FOLDER
#
# The archive is a .tar.gz with the program at its top. What has another digest is not unpacked. Where the runner keeps
# tools (RUNNER_TOOL_CACHE) the archive is kept under its digest, checked again at each use, and fetched once.
set -euo pipefail

fail() {
    echo "::error title=refguard is not installed::$1"
    exit 1
}

folder=$1
[[ ${URL-} == https://* ]] || fail 'url must be the address of an archive and begin with https://'
[[ ${SHA256-} =~ ^[0-9a-f]{64}$ ]] || fail 'sha256 must be the SHA-256 of the archive, 64 digits of hex'

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
sum=sha256sum
command -v "$sum" >/dev/null || sum='shasum -a 256'
is_it() { echo "$SHA256  $1" | $sum --check >/dev/null 2>&1; }

kept=${RUNNER_TOOL_CACHE:+$RUNNER_TOOL_CACHE/refguard/$SHA256.tar.gz}
if [[ -n $kept && -f $kept ]] && cp "$kept" "$place/archive" && is_it "$place/archive"; then
    echo 'the archive was kept from an earlier run'
else
    curl --proto '=https' --fail --silent --show-error --location --retry 3 --max-time 300 --output "$place/archive" "$URL"
    is_it "$place/archive" || fail 'the archive has another SHA-256 than the one given'
    # Whole or not at all; a folder that cannot be written keeps nothing.
    if [[ -n $kept ]]; then
        { mkdir -p "${kept%/*}" && cp "$place/archive" "$kept.$$" && mv "$kept.$$" "$kept"; } 2>/dev/null || true
    fi
fi

mkdir -p "$folder"
tar -xzf "$place/archive" -C "$folder" refguard
"$folder/refguard" --version
