#!/usr/bin/env bash
# Renews requirements.lock (what runs), requirements-dev.lock (what tests and checks need besides) and
# requirements-traces.lock (what sends traces), requirements-docs.lock (what builds the documentation) requirements-operate.lock (what looks at deploy/) and requirements-browser.lock (what looks at pages), for every supported Python at once. No index address is written, so the locks work with any mirror.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${SCALIX_VENV:-.venv}/bin/uv
[ -x "$uv" ] || uv=uv
common=(--quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --no-config)
"$uv" pip compile "${common[@]}" "$@" --output-file requirements.lock pyproject.toml
"$uv" pip compile "${common[@]}" "$@" --constraint requirements.lock --output-file requirements-traces.lock - <<<"opentelemetry-exporter-otlp-proto-http"
"$uv" pip compile "${common[@]}" "$@" --constraint requirements.lock --constraint requirements-traces.lock --group dev --output-file requirements-dev.lock
"$uv" pip compile "${common[@]}" "$@" --constraint requirements-dev.lock --group docs --output-file requirements-docs.lock
"$uv" pip compile "${common[@]}" "$@" --group operate --output-file requirements-operate.lock
"$uv" pip compile "${common[@]}" "$@" --group browser --output-file requirements-browser.lock
# Gateways that ours is measured beside, each in an environment of its own: the same packages as here, where both have them.
for peer in vllm-router==0.1.17 sglang-router==0.3.2; do
    "$uv" pip compile "${common[@]}" --constraint requirements.lock --output-file "benchmarks/peers/${peer%%=*}.lock" - <<<"$peer"
done
if grep -n '://' requirements*.lock benchmarks/peers/*.lock; then
    echo "lock: an address got into a lock" >&2
    exit 1
fi
