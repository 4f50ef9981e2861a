#!/usr/bin/env bash
# Holds the library against its last release: bash packaging/release/semver.sh
#
# The release before is the newest tag that is not this commit's. Without one there is nothing to hold it against.
set -euo pipefail
cd "$(dirname "$0")/../.."

before=$(git tag --list 'v*' --sort=-version:refname --no-contains HEAD | head -n 1)
if [[ -z $before ]]; then
    echo 'no release before this one'
    exit 0
fi
cargo semver-checks --package refguard-core --baseline-rev "$before"
