#!/usr/bin/env bash
# Make a Python environment in this checkout, or reuse it when nothing it was made from has changed.
#
#   tools/environment.sh DIRECTORY REQUIREMENTS...
#
# HOLDFAST_PYTHON may name the interpreter to make it with, to try the checks on another Python and ansible-core.
# Also makes the link through which Ansible, pytest and the linters see the checkout as a collection.
set -euo pipefail
cd "$(dirname "$0")/.."

directory=$1
shift

# A Python of 3.11 or newer that can make environments. The system's own comes first: an interpreter in somebody's
# home folder cannot be run by the operating-system users that the tests become.
find_python() {
    local candidate
    for candidate in "${HOLDFAST_PYTHON:-/usr/bin/python3}" /usr/bin/python3 python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    cat >&2 << 'TEXT'
No Python 3.11 or newer that can make virtual environments was found.
On Debian or Ubuntu, install the packages: python3 python3-venv
TEXT
    return 1
}

mkdir -p .cache collections/ansible_collections/holdfast
ln -sfn ../../.. collections/ansible_collections/holdfast/db

# One maker at a time: two `make` runs in one checkout must not install into the same folder.
exec 9> .cache/environment.lock
flock 9

python=$(find_python)
# The path is part of it, for the scripts in an environment stop working when the checkout is moved.
stamp=$({ "$python" --version && pwd && cat "$0" "$@"; } | sha256sum | cut -c1-16)

if [ -e "$directory/.made-from-$stamp" ]; then
    exit 0
fi

echo "Making the Python environment $directory with $python (under a minute; later runs reuse it) ..."
rm -rf "$directory"
"$python" -m venv "$directory"
requirements=()
for file in "$@"; do
    requirements+=(-r "$file")
done
"$directory/bin/python" -m pip install -qq --disable-pip-version-check --no-input "${requirements[@]}" < /dev/null
touch "$directory/.made-from-$stamp"
