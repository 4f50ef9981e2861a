#!/usr/bin/env bash
# Makes a wheel for this machine: bash packaging/wheel/build.sh [FOLDER [PROJECT]]
#
# PROJECT is the folder of its pyproject.toml: this one (the program), or integrations/litellm (the package for LiteLLM).
# On Linux it runs wherever glibc is 2.28 or newer (manylinux_2_28): zig links against that version, whatever is here.
# zlib is built in. Needs Rust, and Python for maturin and zig, which come from PyPI into the target folder.
# PROFILE is another profile of cargo than the one that pyproject.toml names: `dev` is quick to build, and no release.
set -euo pipefail
cd "$(dirname "$0")/../.."

out=${1:-target/wheels} project=${2:-.}
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target" "$out"
out=$(cd "$out" && pwd)
CARGO_TARGET_DIR=$(cd "$target" && pwd)
venv=$CARGO_TARGET_DIR/wheel-tools
[[ -x $venv/bin/maturin ]] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r packaging/wheel/requirements.txt

export CARGO_TARGET_DIR PATH=$venv/bin:$PATH LIBZ_SYS_STATIC=1
build=(maturin build --out "$out" ${PROFILE:+--profile "$PROFILE"})
cd "$project"
if [[ $(uname) == Linux ]]; then
    "${build[@]}" --zig --compatibility manylinux_2_28 --target "$(uname -m)-unknown-linux-gnu"
else
    "${build[@]}"
fi
