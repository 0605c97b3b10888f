# Both programs in one image: `central-server serve` unless told otherwise; `edge-agent run`.
# No engine has run this file; tests/docs/test_dockerfile.py follows its steps without one.

FROM node:20-bookworm-slim AS assets
WORKDIR /app
COPY scripts/npm.sh scripts/install_assets.sh scripts/
COPY web/package.json web/package-lock.json web/.npmrc web/
RUN scripts/install_assets.sh

FROM python:3.11-slim-bookworm AS build
WORKDIR /app
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN python -m venv .venv \
    && .venv/bin/python -m pip install --no-cache-dir --require-hashes \
        -r requirements/build.txt -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY requirements/runtime.in requirements/
COPY event_protocol/ event_protocol/
COPY edge_agent/ edge_agent/
COPY central_server/ central_server/
COPY web/ web/
COPY configs/ configs/
COPY --from=assets /app/web/static/vendor/ web/static/vendor/
# Editable, so that pages, migrations and configurations stay where they are in a checkout.
RUN .venv/bin/python -m pip install --no-cache-dir --no-index --no-deps --no-build-isolation \
    --editable .

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/onestop onestop
WORKDIR /app
COPY --from=build /app/ /app/
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ONESTOP_DIRECTORY=/var/lib/onestop/server \
    EDGE_DIRECTORY=/var/lib/onestop/edge
USER 10001
VOLUME /var/lib/onestop
EXPOSE 8000 8080
CMD ["central-server", "serve"]
