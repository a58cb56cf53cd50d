# Two images: `vigil`, the worker, and `mlflow`, the registry's server, at the client's version.
# Needs BuildKit, which Docker has had by default since 23.

FROM python:3.12-slim-bookworm AS builder
# as in the Makefile
ARG UV_VERSION=0.13.8
RUN pip install --no-cache-dir "uv==${UV_VERSION}"
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PROJECT_ENVIRONMENT=/opt/vigil \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /src
# the dependencies first: they change less often than the code
COPY pyproject.toml uv.lock ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --no-install-project
COPY . .
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --no-editable

FROM builder AS mlflow-builder
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --python /opt/vigil/bin/python psycopg2-binary==2.9.13 boto3==1.44.5

FROM python:3.12-slim-bookworm AS runtime
# libgomp1 is LightGBM's. A pinned version would fail to build from Debian's next point release on.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --create-home --home-dir /var/lib/vigil vigil
# One thread a worker: workers are many, and OpenMP's threads would fight over their cores.
ENV PATH=/opt/vigil/bin:$PATH \
    HOME=/var/lib/vigil \
    OMP_NUM_THREADS=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /var/lib/vigil

FROM runtime AS mlflow
LABEL org.opencontainers.image.title="vigil-mlflow" \
      org.opencontainers.image.description="MLflow server with PostgreSQL and S3, for Vigil" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=mlflow-builder /opt/vigil /opt/vigil
USER 10001:10001
EXPOSE 5000
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --start-interval=3s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:5000/health', timeout=4)"]
ENTRYPOINT ["mlflow", "server", "--host", "0.0.0.0", "--port", "5000"]

FROM runtime AS vigil
ARG REVISION=unknown
LABEL org.opencontainers.image.title="vigil" \
      org.opencontainers.image.description="Real-time sepsis early warning on Kafka streams. Not a medical device." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
# Compiled kernels go into the volume: they hold for one kind of CPU, so the build cannot make them.
ENV VIGIL_HOME=/var/lib/vigil \
    VIGIL_WEB_HOST=0.0.0.0 \
    VIGIL_WEB_PORT=6066 \
    NUMBA_CACHE_DIR=/var/lib/vigil/numba
COPY --from=builder /opt/vigil /opt/vigil
USER 10001:10001
VOLUME /var/lib/vigil
EXPOSE 6066
# A worker is live while its tables recover, too; /ready says when it scores.
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --start-interval=3s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:%s/live' % os.environ['VIGIL_WEB_PORT'], timeout=4)"]
ENTRYPOINT ["vigil"]
CMD ["worker", "bedside"]
