#!/usr/bin/env bash
# Makes everything that a release has for one machine out of one wheel: bash packaging/release/pack.sh WHEEL TARGET OUT
#
# One build, packed several ways: the wheel itself, an archive with the program, and on Linux the Debian package and the
# container image, with the very program that is in the wheel.
set -euo pipefail
cd "$(dirname "$0")/../.."

wheel=$(realpath "$1") target=$2 out=$3
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

mkdir -p "$out"
cp "$wheel" "$out/"
python3 -m zipfile -e "$wheel" "$place/wheel"
install -m 755 "$place"/wheel/refguard-*.data/scripts/refguard "$place/refguard"
version=$("$place/refguard" --version | cut -d ' ' -f 2)
name=refguard-$version-$target

cp LICENSE README.md "$place/"
tar -czf "$out/$name.tar.gz" -C "$place" refguard LICENSE README.md
if [[ $target == *-linux-* ]]; then
    python3 packaging/deb/build.py --binary "$place/refguard" --output "$out/$name.deb"
    python3 packaging/image/build.py --binary "$place/refguard" --output "$out/$name.oci.tar" \
        --revision "$(git rev-parse HEAD)"
fi
