# To be sourced: Debian's Rust with a standard library for WebAssembly, for machines that rustup cannot serve.

# with_distribution_toolchain FOLDER cargo ARGUMENTS...
# The library is built once, in FOLDER.
with_distribution_toolchain() {
    local folder=$1 target=wasm32-unknown-unknown
    shift 2
    if [ ! -e "$folder/complete" ]; then
        apt-get update -q && apt-get install -y -q --no-install-recommends rustc-web cargo-web rust-web-src lld
        rm -rf "$folder"
        mkdir -p "$folder/empty/src" "$folder/lib/rustlib/$target/lib"
        printf '[package]\nname = "empty"\nedition = "2024"\n[workspace]\n' >"$folder/empty/Cargo.toml"
        : >"$folder/empty/src/lib.rs"
        (
            cd "$folder/empty"
            RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes CARGO_TARGET_DIR=$folder/empty/target \
                /usr/bin/cargo build --quiet --release -Zbuild-std=std,panic_abort --target "$target"
        )
        cp "$folder/empty/target/$target/release/deps/"*.rlib "$folder/lib/rustlib/$target/lib/"
        ln -s /usr/lib/rustlib/x86_64-unknown-linux-gnu "$folder/lib/rustlib/"
        printf '#!/bin/sh\nexec /usr/bin/rustc --sysroot "%s" "$@"\n' "$folder" >"$folder/rustc"
        chmod +x "$folder/rustc"
        touch "$folder/complete"
    fi
    RUSTC=$folder/rustc CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld /usr/bin/cargo "$@"
}
