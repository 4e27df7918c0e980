#!/usr/bin/env bash
# Installs what the tests in tests/operate need and a machine may lack: servers as Debian packages, and validators of
# deploy/ from requirements-operate.lock into .venv-operate. Nothing is started.
set -euo pipefail
cd "$(dirname "$0")/.."
needed=(haproxy nginx redis-server redis-sentinel promtool prometheus-alertmanager podman runc mmdebstrap systemd-analyze)
missing=()
for program in "${needed[@]}"; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null || missing+=("$program")
done
if [ ${#missing[@]} -gt 0 ]; then
    if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
        echo "operate: not installed: ${missing[*]}. On Debian or Ubuntu, as root, this installs them." >&2
        exit 2
    fi
    echo "operate: installing ${missing[*]}"
    # A package that would start its server at once does not: the tests start their own.
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends haproxy nginx-light redis-server \
        redis-sentinel prometheus prometheus-alertmanager podman runc mmdebstrap systemd >/dev/null
fi
SCALIX_VENV=.venv-operate tools/setup.sh operate
