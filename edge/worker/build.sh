#!/usr/bin/env bash
# Builds the worker into `build/`: `index.js`, which `worker-build` makes, and `index_bg.wasm`. `npx wrangler deploy` runs
# it, and so do the tests. Needs Rust, Python and npm; installs the rest once, below the target folder.
#
# build.sh [folder [argument of cargo...]] builds another one, as the benchmark does.
set -euo pipefail
cd "$(dirname "$0")"
out=${1:-build}
shift || true
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$(cd ../.. && pwd)/target}
tools=$CARGO_TARGET_DIR/edge-tools
mkdir -p "$tools"

version_of() { sed -n "/^name = \"$1\"\$/{n;s/^version = \"\(.*\)\"\$/\1/p;}" ../../Cargo.lock; }
installed() { "$tools/bin/$1" --version 2>/dev/null | sed 's/.* //'; }
say() { printf 'edge: %s\n' "$*" >&2; }
# What cargo says while it compiles: every twentieth crate and whatever is no crate, as it comes.
progress() { awk -v tool="$1" '/^ *Compiling /{ if (++n % 20 == 0) { printf "edge:   %s: %d crates so far\n", tool, n; fflush() } next }
    /^ *(Downloaded|Downloading|Updating|Locking|Adding) /{ next } { print; fflush() }' >&2; }
# Both tools must be of the very version of their library. (Their published lock files name a version that is gone.) They
# run for a second, so that what counts is how long they take to compile: without optimisation less than half.
install() {
    say "compiles $1 $2, once; that takes a minute or two"
    CARGO_PROFILE_DEV_DEBUG=false cargo install "$1" --version "$2" --root "$tools" --debug 2>&1 | progress "$1"
}
if [ "$(installed wasm-bindgen)" != "$(version_of wasm-bindgen)" ]; then
    install wasm-bindgen-cli "$(version_of wasm-bindgen)"
fi
if [ "$(installed worker-build)" != "$(version_of worker)" ]; then
    install worker-build "$(version_of worker)"
fi
packages=$tools/packages/node_modules
if [ ! -e "$packages/binaryen" ] || [ ! -e "$packages/esbuild" ]; then
    say "fetches wasm-opt and esbuild, once"
    npm install --prefix "$tools/packages" --no-save --no-audit --no-fund --silent binaryen@132.0.0 esbuild@0.28.2
fi
export WASM_BINDGEN_BIN=$tools/bin/wasm-bindgen
export WASM_OPT_BIN=$packages/binaryen/bin/wasm-opt
export ESBUILD_BIN=$packages/esbuild/bin/esbuild
if ! rustup target add wasm32-unknown-unknown 2>/dev/null; then
    say "has no target wasm32-unknown-unknown from rustup; takes that of the distribution"
    # Rustup or its server is out of reach: the same from the distribution's compiler and its sources.
    . ./distribution-toolchain.sh
    use_distribution_toolchain "$tools/distribution"
fi
# `worker-build` wants a folder below this one.
made=build.new
say "compiles the worker; the first time that takes a minute or two"
"$tools/bin/worker-build" --profile edge --out-dir "$made" --quiet --locked "$@"
# The names of functions are for debuggers, and a third of the size. A second pass finds a little more. What every engine of
# today has, and no more: the optimiser would use newer encodings if it were let.
features=(simd mutable-globals sign-ext nontrapping-float-to-int bulk-memory bulk-memory-opt multivalue reference-types
    exception-handling)
"$WASM_OPT_BIN" "${features[@]/#/--enable-}" -Oz --strip-debug --strip-producers --strip-target-features \
    --low-memory-unused "$made/index_bg.wasm" -o "$made/index_bg.wasm"
# Swapped in as a whole, so that a server that watches the folder never sees half of it.
rm -rf "$out" && mv "$made" "$out"
printf 'edge: %d bytes of WebAssembly, %d compressed\n' \
    "$(wc -c <"$out/index_bg.wasm")" "$(gzip -9c "$out/index_bg.wasm" | wc -c)"
