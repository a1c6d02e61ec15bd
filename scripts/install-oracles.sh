#!/bin/sh
# Installs the Python packages that tests compare with (scripts/requirements.txt) into .venv in the
# root of the repository. Says nothing when they are there; names what is missing when it cannot.
#
#   PYTHON=python3.11 scripts/install-oracles.sh     to choose the interpreter
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
venv="$root/.venv"
requirements="$root/scripts/requirements.txt"
# The requirements that were installed, for comparison.
installed="$venv/installed-requirements.txt"

fail() {
    echo "install-oracles: $1" >&2
    shift
    for line in "$@"; do
        echo "  $line" >&2
    done
    exit 1
}

if [ -x "$venv/bin/python" ] && cmp -s "$requirements" "$installed"; then
    exit 0
fi

python=${PYTHON:-python3}
command -v "$python" >/dev/null 2>&1 ||
    fail "missing: $python" "install Python 3.11 or later (Debian: apt-get install python3 python3-venv)"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "missing: Python 3.11 or later; $python is $("$python" --version 2>&1)" \
        "name another with PYTHON=python3.X $0"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "missing: the venv module of $python" "install it (Debian: apt-get install python3-venv)"

echo "install-oracles: installing the packages of scripts/requirements.txt into .venv"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { "$python" -m venv "$venv" &&
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --requirement "$requirements"; } >"$log" 2>&1; then
    cat "$log" >&2
    fail "could not install; missing, of scripts/requirements.txt:" \
        "$("$venv/bin/python" - "$requirements" <<'PYTHON' 2>/dev/null || grep -v '^#' "$requirements"
import importlib.metadata, sys

for line in open(sys.argv[1]):
    name, _, version = line.strip().partition("==")
    if not version:
        continue
    try:
        if importlib.metadata.version(name) != version:
            print(line.strip())
    except importlib.metadata.PackageNotFoundError:
        print(line.strip())
PYTHON
        )"
fi
cp "$requirements" "$installed"
