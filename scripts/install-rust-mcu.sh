#!/bin/sh
# Makes Rust for microcontrollers available: the core library of every target that programs are
# exported for. Takes what is installed, else adds it with rustup, else unpacks Debian's compiler with
# the library's source into .rust-mcu in the root of the repository, beside the system's compiler.
#
#   scripts/install-rust-mcu.sh            installs what is missing
#   scripts/install-rust-mcu.sh --check    only says what is missing
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
folder="$root/.rust-mcu"
targets="thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabi thumbv8m.main-none-eabi
    thumbv8m.main-none-eabihf riscv32imac-unknown-none-elf"

fail() {
    echo "install-rust-mcu: $1" >&2
    shift
    for line in "$@"; do
        echo "  $line" >&2
    done
    exit 1
}

# The targets without a compiled core library.
missing() {
    for target in $targets; do
        library=$(rustc --print target-libdir --target "$target" 2>/dev/null || true)
        set -- "$library"/libcore-*.rlib
        [ -e "$1" ] || echo "$target"
    done
}

if [ -x "$folder/cargo" ] || [ -z "$(missing)" ]; then
    exit 0
fi
if [ "${1:-}" = --check ]; then
    fail "missing: $(missing | tr '\n' ' ')" "run scripts/install-rust-mcu.sh"
fi

if command -v rustup >/dev/null 2>&1; then
    # shellcheck disable=SC2046
    rustup target add $(missing) >/dev/null 2>&1 || true
    [ -n "$(missing)" ] || exit 0
fi

for program in apt-get apt-cache dpkg; do
    command -v "$program" >/dev/null 2>&1 ||
        fail "no core library for $(missing | tr '\n' ' ')" \
            "install it with 'rustup target add'; without rustup, this script needs Debian's $program"
done

echo "install-rust-mcu: unpacking Debian's Rust into .rust-mcu"
staging=$(mktemp -d "$root/.rust-mcu-XXXXXX")
trap 'rm -rf "$staging"' EXIT
log="$staging/log"
# The compiler's own libraries carry versions in their names.
packages="rustc-web cargo-web rust-web-src libstd-rust-web-dev"
libraries='^(libstd-rust-web-[0-9.]+|libllvm[0-9.]+|libgit2-[0-9.]+|libhttp-parser[0-9.]+|libmbedcrypto[0-9]+|libmbedtls[0-9]+|libmbedx509-[0-9]+|libz3-[0-9]+)$'
download() {
    apt-get update -q
    found=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
        --no-replaces --no-enhances $packages | grep -E '^[a-z]' | grep -E "$libraries" | sort -u)
    # shellcheck disable=SC2086
    (cd "$staging" && apt-get download $packages $found)
    for package in "$staging"/*.deb; do
        dpkg -x "$package" "$staging/tree"
    done
}
download >"$log" 2>&1 || {
    cat "$log" >&2
    fail "cannot download Debian's Rust (packages $packages)"
}
rm -f "$staging"/*.deb
rustc=$(find "$staging/tree/usr/bin" "$staging/tree/usr/lib" -name rustc -type f | head -n 1)
[ -n "$rustc" ] || fail "Debian's packages hold no rustc"
source=$(find "$staging/tree" -type d -path '*/library/core' | head -n 1)
[ -n "$source" ] || fail "Debian's packages hold no source of the core library"
