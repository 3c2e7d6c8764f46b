# hpsearch's own image: controller, Ray head and worker, MLflow server.
#
#     docker build --build-arg PIP_EXTRA_INDEX_URL=… --tag hpsearch:0.1.0-cpu .          # …: PyTorch's index of CPU builds
#     docker build --build-arg DEVICE=cuda --tag hpsearch:0.1.0-cuda .
ARG PYTHON=3.11.15

FROM python:${PYTHON}-slim-trixie AS build
ARG DEVICE=cpu
# Of this stage alone: an index's address may hold a password.
ARG PIP_EXTRA_INDEX_URL=
ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/venv
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY hpsearch hpsearch
RUN pip install --constraint constraints.txt hatchling editables \
 && pip install --constraint constraints.txt --no-build-isolation '.[cluster,s3]'
COPY compose/check_device.py .
RUN python check_device.py "$DEVICE"

FROM python:${PYTHON}-slim-trixie
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true RAY_USAGE_STATS_ENABLED=0
# A new volume takes its owner from the folder that it covers.
RUN groupadd --gid 10001 hpsearch \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin hpsearch \
 && install --directory --owner 10001 --group 10001 /srv/hpsearch /srv/mlflow
COPY --from=build /opt/venv /opt/venv
COPY compose/*.sh /opt/compose/
USER 10001:10001
WORKDIR /srv/hpsearch
CMD ["hpsearch", "--help"]
