# Two images: `operator` and `installer`. Base images are arguments, so that builders without a registry can stand in their own.
ARG GO_IMAGE=golang:1.26-bookworm
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${GO_IMAGE} AS build-installer
WORKDIR /src
COPY installer/go.mod installer/go.sum ./
RUN go mod download
COPY installer/ ./
ARG VERSION=dev
# Static, because it runs inside whatever a driver's image is made of.
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w -buildid= -X main.version=${VERSION}" -o /installer .

FROM scratch AS installer
LABEL org.opencontainers.image.title="flexvolume-installer" \
      org.opencontainers.image.description="Verifies, publishes and guards a FlexVolume driver on a node" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build-installer /installer /installer
ENTRYPOINT ["/installer"]

FROM ${PYTHON_IMAGE} AS build-operator
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
# Two environments: one that builds and installs, and one without pip that goes into the image.
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN python3 -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes -r requirements/build.txt \
 && python3 -m venv --without-pip /opt/venv \
 && /opt/build/bin/pip --python /opt/venv/bin/python3 install --no-compile --require-hashes -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY operator/ operator/
COPY templates/ templates/
COPY crds/ crds/
COPY installer/report/contract.json installer/report/
# Deleted: the Kubernetes client's class for each kind of object and API, two thirds of the environment, none of which is used.
# The compiled files are not checked against the sources' times: nobody changes sources in an image, and times may get lost on the way into it.
RUN /opt/build/bin/python3 -m build --wheel --no-isolation \
 && /opt/build/bin/pip --python /opt/venv/bin/python3 install --no-compile --no-index --no-deps dist/*.whl \
 && find /opt/venv/lib -regex '.*/kubernetes/\(aio/\)?client/\(api\|models\)/[a-z].*' -delete \
 && /opt/venv/bin/python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib

FROM ${PYTHON_IMAGE} AS operator
LABEL org.opencontainers.image.title="flexvolume-operator" \
      org.opencontainers.image.description="Installs FlexVolume drivers on Kubernetes nodes and tells where they do not work" \
      org.opencontainers.image.licenses="Apache-2.0"
# Where official and Debian's Python images keep pip.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/ensurepip /usr/local/lib/python3*/site-packages/pip* \
           /usr/bin/pip* /usr/lib/python3*/ensurepip /usr/lib/python3/dist-packages/pip* /usr/share/python-wheels
COPY --from=build-operator /opt/venv /opt/venv
# Nothing is written, so the root file system may be read-only. HOME: the Kubernetes client asks for one when it is imported, and the user has none.
ENV PATH=/opt/venv/bin:$PATH HOME=/nonexistent PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["flexvolume-operator"]
CMD ["run"]
