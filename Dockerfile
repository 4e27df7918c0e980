# The gateway as an image: two stages, so that nothing that only builds is in what runs.
#   podman build --format docker -t scalix-gateway .
# BASE may be any image of a Debian or Ubuntu with Python 3.11 to 3.13.
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
WORKDIR /build
# With what traces need: a container is not the place to install a package into.
COPY requirements.lock requirements-traces.lock ./
RUN python3 -m venv /opt/scalix \
 && /opt/scalix/bin/python -m pip install --no-cache-dir --require-hashes --no-deps -r requirements.lock \
 && /opt/scalix/bin/python -m pip install --no-cache-dir --require-hashes --no-deps -r requirements-traces.lock
COPY . .
RUN /opt/scalix/bin/python -m pip install --no-cache-dir --no-deps . \
 && /opt/scalix/bin/python -m compileall -q /opt/scalix/lib

FROM ${BASE}
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/scalix --create-home --shell /usr/sbin/nologin scalix \
 && mkdir -p /etc/scalix
COPY --from=build /opt/scalix /opt/scalix
COPY litellm_proxy_config.yaml /etc/scalix/litellm_proxy_config.yaml
# State (journal, pid file, archive, the log) is in /var/lib/scalix, a volume; everything else may be read-only.
ENV PATH=/opt/scalix/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    LITELLM_HOST=0.0.0.0 \
    LITELLM_LOG_FILE=/var/lib/scalix/logs/litellm.log \
    SCALIX_CONFIG=/etc/scalix/litellm_proxy_config.yaml \
    SCALIX_ENV=production \
    SCALIX_STATE_DIR=/var/lib/scalix
WORKDIR /var/lib/scalix
USER 10001:10001
VOLUME /var/lib/scalix
EXPOSE 4000
# Drains: requests in flight are finished first.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=90s --retries=3 CMD ["scalix", "status"]
ENTRYPOINT ["scalix"]
CMD ["start"]
