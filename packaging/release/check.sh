#!/usr/bin/env bash
# Whether a tag may become a release, and what its notes are: bash packaging/release/check.sh TAG [NOTES]
#
# The tag is `v` and the version of Cargo.toml, and of the package for LiteLLM; CHANGELOG.md has a section of that version,
# with a date and something in it. NOTES, a file, gets that section.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() {
    echo "$1" >&2
    exit 1
}

tag=$1
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
[[ $tag == "v$version" ]] || fail "the tag is $tag, but Cargo.toml has the version $version"

file=integrations/litellm/core/Cargo.toml
grep -qxF "version = \"$version\"" "$file" || fail "the tag is $tag, but $file has another version"

title=$(grep -E "^## \[${version//./\\.}\] - [0-9]{4}-[0-9]{2}-[0-9]{2}$" CHANGELOG.md) ||
    fail "CHANGELOG.md has no section \`## [$version] - YYYY-MM-DD\`"
notes=$(awk -v title="$title" '$0 == title { inside = 1; next } /^## \[/ { inside = 0 } inside' CHANGELOG.md)
[[ $notes == *[a-z]* ]] || fail "the section $version of CHANGELOG.md is empty"
printf '%s\n' "$notes" >"${2:-/dev/stdout}"
