#!/bin/sh
# Makes Rust for microcontrollers available: the core library of every target that programs are
# exported for. Takes what is installed, else adds it with rustup, else unpacks Debian's compiler with
# the library's source into .rust-mcu in the root of the repository, beside the system's compiler.
#
#   scripts/install-rust-mcu.sh            installs what is missing
#   scripts/install-rust-mcu.sh --check    only says what is missing
#   scripts/install-rust-mcu.sh --debian   takes Debian's compiler whatever is there
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

choice=${1:-}
if [ -x "$folder/cargo" ]; then
    exit 0
fi
if [ "$choice" != --debian ] && [ -z "$(missing)" ]; then
    exit 0
fi
if [ "$choice" = --check ]; then
    fail "missing: $(missing | tr '\n' ' ')" "run scripts/install-rust-mcu.sh"
fi

if [ "$choice" != --debian ] && command -v rustup >/dev/null 2>&1; then
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
packages="rustc-web cargo-web rust-web-src libstd-rust-web-dev"
# What the compiler and cargo load, besides what every Debian has; versions are parts of the names.
libraries='^(libstd-rust-web-|libgit2-|libhttp-parser|libmbedcrypto|libmbedtls|libmbedx509-|libz3-)[0-9.]+$'

# The packages that the given ones need, directly or by others.
needed() {
    apt-cache depends "$@" --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
        --no-enhances
}

unpack() {
    apt-get update -q
    # shellcheck disable=SC2086
    found=$(needed --recurse $packages | grep -E "$libraries" | sort -u)
    standard=$(echo "$found" | grep libstd-rust-web | sort -V | tail -n 1)
    compiler=$(needed "$standard" | grep -oE 'libllvm[0-9.]+' | sort -u)
    mkdir "$staging/packages"
    # shellcheck disable=SC2086
    (cd "$staging/packages" && apt-get download -q $packages $found $compiler)
    for package in "$staging"/packages/*.deb; do
        dpkg -x "$package" "$staging/tree"
    done
    rm -rf "$staging/packages" "$staging/tree/usr/share"
}
unpack >"$staging/log" 2>&1 || {
    cat "$staging/log" >&2
    fail "cannot unpack Debian's Rust (packages $packages and what they need)"
}
library=$(find "$staging/tree/usr/src" -maxdepth 2 -type d -name library | head -n 1)
libraries=$(find "$staging/tree/usr/lib" -name 'librustc_driver-*.so' | head -n 1)
[ -x "$staging/tree/usr/bin/rustc" ] && [ -n "$library" ] && [ -n "$libraries" ] ||
    fail "Debian's packages hold no compiler, or not the source of its library"
# Of a gigabyte of source, only the library is compiled.
find "$(dirname "$library")" -mindepth 1 -maxdepth 1 ! -name library -exec rm -rf {} +
inside() {
    echo "${1#"$staging"/}"
}

mkdir "$staging/home"
# No network, and the linkers of the C compilers.
cat >"$staging/home/config.toml" <<CONFIG
[source.crates-io]
replace-with = "vendored"

[source.vendored]
directory = "$folder/$(inside "$library")/vendor"
CONFIG
for target in $targets; do
    linker=arm-none-eabi-ld
    flags='"-Clinker-flavor=ld"'
    case "$target" in
    riscv32*)
        linker=riscv64-unknown-elf-ld
        flags="$flags, \"-Clink-arg=-melf32lriscv\""
        ;;
    esac
    # Unquoted: cargo looks for the parts of a dotted name.
    printf '\n[target.%s]\nlinker = "%s"\nrustflags = [%s]\n' "$target" "$linker" "$flags" \
        >>"$staging/home/config.toml"
done
cat >"$staging/cargo" <<CARGO
#!/bin/sh
# Debian's cargo, which compiles the core library beside the program.
folder=\$(CDPATH='' cd -- "\$(dirname -- "\$0")" && pwd)
export LD_LIBRARY_PATH="\$folder/$(inside "$(dirname "$libraries")")"
export RUSTC="\$folder/tree/usr/bin/rustc" CARGO_HOME="\$folder/home" RUSTC_BOOTSTRAP=1
unset RUSTUP_TOOLCHAIN RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
exec "\$folder/tree/usr/bin/cargo" -Zbuild-std=core "\$@"
CARGO
chmod +x "$staging/cargo"
chmod 755 "$staging"
rm -f "$staging/log"
rm -rf "$folder"
mv "$staging" "$folder"
"$folder/cargo" --version >/dev/null || fail "the unpacked cargo does not start"
