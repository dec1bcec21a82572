# To be sourced: Debian's Rust with a standard library for WebAssembly, for machines that rustup cannot serve.

# use_distribution_toolchain FOLDER
# Puts that compiler first on the path. Its library is built once, in FOLDER.
use_distribution_toolchain() {
    local folder=$1 target=wasm32-unknown-unknown
    if [ ! -e "$folder/complete" ]; then
        apt-get update -q && apt-get install -y -q --no-install-recommends rustc-web cargo-web rust-web-src lld
        rm -rf "$folder"
        mkdir -p "$folder/empty/src" "$folder/lib/rustlib/$target/lib" "$folder/bin"
        printf '[package]\nname = "empty"\nedition = "2024"\n[workspace]\n' >"$folder/empty/Cargo.toml"
        : >"$folder/empty/src/lib.rs"
        (
            cd "$folder/empty"
            RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes CARGO_TARGET_DIR=$folder/empty/target \
                /usr/bin/cargo build --quiet --release -Zbuild-std=std,panic_abort --target "$target"
        )
        cp "$folder/empty/target/$target/release/deps/"*.rlib "$folder/lib/rustlib/$target/lib/"
        ln -s /usr/lib/rustlib/x86_64-unknown-linux-gnu "$folder/lib/rustlib/"
        printf '#!/bin/sh\nexec /usr/bin/rustc --sysroot "%s" "$@"\n' "$folder" >"$folder/bin/rustc"
        chmod +x "$folder/bin/rustc"
        ln -s /usr/bin/cargo "$folder/bin/cargo"
        touch "$folder/complete"
    fi
    # `worker-build` asks the `rustc` on the path where the library for WebAssembly lies.
    PATH=$folder/bin:$PATH
    export PATH CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld
}
