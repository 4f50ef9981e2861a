#!/usr/bin/env bash
# Puts the refguard of an archive into a folder: URL=https://… SHA256=… bash install.sh FOLDER
#
# The archive is a .tar.gz with the program at its top. What has another digest is not unpacked.
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
curl --proto '=https' --fail --silent --show-error --location --retry 3 --max-time 300 --output "$place/archive" "$URL"
sum=sha256sum
command -v "$sum" >/dev/null || sum='shasum -a 256'
echo "$SHA256  $place/archive" | $sum --check >/dev/null 2>&1 || fail 'the archive has another SHA-256 than the one given'

mkdir -p "$folder"
tar -xzf "$place/archive" -C "$folder" refguard
"$folder/refguard" --version
