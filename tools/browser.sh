#!/usr/bin/env bash
# Installs what the tests in tests/browser need and a machine may lack: Chromium as a Debian package, and what drives it
# from requirements-browser.lock into .venv-browser. Nothing is started.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v chromium >/dev/null; then
    if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
        echo "browser: there is no chromium. On Debian or Ubuntu, as root, this installs it." >&2
        exit 2
    fi
    echo "browser: installing chromium"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core \
        fonts-noto-color-emoji >/dev/null
fi
SCALIX_VENV=.venv-browser tools/setup.sh browser
