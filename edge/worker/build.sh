#!/usr/bin/env bash
# Builds the worker's WebAssembly into `build/`. `npx wrangler deploy` runs it, and so do the tests.
# Needs Rust, Python and npm; installs the rest once, below the target folder.
#
# build.sh [folder [argument of cargo...]] builds another one, as the benchmark does.
set -euo pipefail
cd "$(dirname "$0")"
out=${1:-build}
shift || true
target=${CARGO_TARGET_DIR:-$(cd ../.. && pwd)/target}
tools=$target/edge-tools
mkdir -p "$tools"

# The tool must be of the very version of the library.
version=$(sed -n '/^name = "wasm-bindgen"$/{n;s/^version = "\(.*\)"$/\1/p}' ../../Cargo.lock)
if [ "$("$tools/bin/wasm-bindgen" --version 2>/dev/null)" != "wasm-bindgen $version" ]; then
    cargo install wasm-bindgen-cli --version "$version" --root "$tools" --quiet
fi
optimiser=$tools/optimiser/node_modules/binaryen/bin/wasm-opt
if [ ! -e "$optimiser" ]; then
    npm install --prefix "$tools/optimiser" --no-save --no-audit --no-fund --silent binaryen@132.0.0
fi
build=(cargo build --quiet --locked --profile edge --target wasm32-unknown-unknown -p portcullis-edge "$@")
export CARGO_TARGET_DIR=$target
if rustup target add wasm32-unknown-unknown 2>/dev/null; then
    "${build[@]}"
else
    # Rustup or its server is out of reach: the same from the distribution's compiler and its sources.
    . ./distribution-toolchain.sh
    with_distribution_toolchain "$tools/distribution" "${build[@]}"
fi
# Swapped in as a whole, so that a server that watches the folder never sees half of it.
rm -rf "$out.new" && mkdir "$out.new"
"$tools/bin/wasm-bindgen" --target web --no-typescript --experimental-reset-state-function \
    --out-dir "$out.new" "$target/wasm32-unknown-unknown/edge/portcullis_edge.wasm"
# What every engine of today has, and no more: the optimiser would use newer encodings if it were let. The lowest
# kilobyte of memory is the far end of the stack.
"$optimiser" -Oz --strip-debug --strip-producers --low-memory-unused --enable-bulk-memory --enable-bulk-memory-opt \
    --enable-nontrapping-float-to-int --enable-sign-ext --enable-mutable-globals --enable-reference-types \
    --enable-multivalue --enable-simd "$out.new/portcullis_edge_bg.wasm" -o "$out.new/portcullis_edge_bg.wasm"
rm -rf "$out" && mv "$out.new" "$out"
printf 'edge: %d bytes of WebAssembly, %d compressed\n' \
    "$(wc -c <"$out/portcullis_edge_bg.wasm")" "$(gzip -9c "$out/portcullis_edge_bg.wasm" | wc -c)"
