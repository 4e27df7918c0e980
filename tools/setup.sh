#!/usr/bin/env bash
# Makes .venv and installs the locked packages, with uv where it is present, else with venv and pip.
# Usage: tools/setup.sh run|dev|docs|operate|browser (dev: also what tests and checks need; docs, operate, browser: what
# builds the documentation, what looks at deploy/, and what looks at pages, alone)
# Does nothing when the locks have not changed since the last time. Safe to run twice at once.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:-run}
venv=${SCALIX_VENV:-.venv}

find_python() {
    local name
    for name in ${PYTHON:-} python3.13 python3.12 python3.11 python3 python; do
        if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    echo "setup: no Python 3.11, 3.12 or 3.13 found. Install one, or name it: make PYTHON=/path/to/python3.12 run" >&2
    exit 2
}

locks=(requirements.lock)
[ "$kind" = dev ] && locks+=(requirements-dev.lock)
[ "$kind" = docs ] && locks=(requirements-docs.lock)
[ "$kind" = operate ] && locks=(requirements-operate.lock)
[ "$kind" = browser ] && locks=(requirements-browser.lock)
stamp="$venv/.installed-$kind"
wanted=$(cat "${locks[@]}" | sha256sum | cut -d' ' -f1)

mkdir -p "$venv"
if command -v flock >/dev/null; then
    exec 9>"$venv/.setup.lock"
    flock 9
fi
[ -x "$venv/bin/python" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && exit 0

if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c '' 2>/dev/null; then
    python=$(find_python)
    echo "setup: making $venv with $("$python" --version)"
    if command -v uv >/dev/null; then
        uv venv --quiet --allow-existing --python "$python" "$venv"
    elif ! "$python" -m venv "$venv" 2>"$venv/.venv-error"; then
        cat "$venv/.venv-error" >&2
        echo "setup: $python can't make virtual environments. On Debian or Ubuntu: apt-get install python3-venv" >&2
        exit 2
    fi
fi
echo "setup: installing ${locks[*]} (a minute or two, once)"
# The locks name everything, so nothing is left to resolve: older pips refuse a lock of hashes as soon as a release newer
# than a pinned one meets a requirement with an extra (fastapi-sso's pydantic[email]).
args=(--no-deps)
for lock in "${locks[@]}"; do args+=(--requirement "$lock"); done
if command -v uv >/dev/null; then
    uv pip install --quiet --python "$venv/bin/python" --require-hashes "${args[@]}"
else
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$venv/bin/python" -m ensurepip --upgrade >/dev/null
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes "${args[@]}"
fi
echo "$wanted" >"$stamp"
echo "setup: done"
