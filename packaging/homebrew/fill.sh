#!/usr/bin/env bash
# Prints the formula for Homebrew of a release: bash packaging/homebrew/fill.sh REPOSITORY VERSION SHA256SUMS
#
# REPOSITORY is its address; SHA256SUMS has a line for each archive that the formula names, or nothing is printed.
set -euo pipefail

repository=$1 version=$2 sums=$3
[[ $repository =~ ^https://[A-Za-z0-9._/-]+$ ]] || { echo "\`$repository\` is no address of a repository" >&2; exit 1; }
[[ $version =~ ^[0-9A-Za-z.-]+$ ]] || { echo "\`$version\` is no version" >&2; exit 1; }

formula=$(<"$(dirname "$0")/refguard.rb")
formula=${formula//@REPOSITORY@/$repository}
formula=${formula//@VERSION@/$version}
while [[ $formula =~ @SHA256\ ([a-z0-9_-]+)@ ]]; do
    place=${BASH_REMATCH[0]} archive=refguard-$version-${BASH_REMATCH[1]}.tar.gz
    sum=$(awk -v archive="$archive" '$2 == archive { print $1 }' "$sums")
    [[ $sum =~ ^[0-9a-f]{64}$ ]] || { echo "$sums has no checksum of $archive" >&2; exit 1; }
    formula=${formula//"$place"/$sum}
done
printf '%s\n' "$formula"
