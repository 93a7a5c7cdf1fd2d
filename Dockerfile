# Drover's image (the last stage, the default) and the lab's for docker-compose (`--target lab`).
# No Docker engine was at hand when this was written: test/compose checks docker-compose.yml, nothing has built this file.

ARG GO_IMAGE=golang:1.26.8-bookworm
ARG POSTGRES_IMAGE=postgres:18.6
ARG PYTHON_IMAGE=python:3.13.12-slim-bookworm

FROM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/ ./cmd/drover ./cmd/lab

# What drover needs of the world outside itself, in one tree: certificates, a folder for temporary files, and PostgreSQL's programs
# with the libraries they are linked with (a site's worker brings the schema to AWS with them). Those of 17 and newer set what an
# older server refuses: for one of 15 or 16 on AWS there are those of 16.
FROM ${POSTGRES_IMAGE} AS rootfs
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates postgresql-client-16 && rm -rf /var/lib/apt/lists/*
RUN set -eu; \
    mkdir -p /rootfs/etc/ssl/certs /rootfs/tmp; chmod 1777 /rootfs/tmp; \
    for program in /usr/lib/postgresql/*/bin/pg_dump /usr/lib/postgresql/*/bin/pg_restore /usr/lib/postgresql/*/bin/psql; do \
        cp -L --parents "$program" /rootfs; \
        ldd "$program" | grep -o '/[^ ]*' | xargs -I{} cp -L --parents {} /rootfs; \
        chroot /rootfs "$program" --version; \
    done; \
    cp /etc/ssl/certs/ca-certificates.crt /rootfs/etc/ssl/certs/; \
    echo 'nonroot:x:65532:65532::/tmp:/nonexistent' >/rootfs/etc/passwd; \
    echo 'nonroot:x:65532:' >/rootfs/etc/group

# The lab's simulators: moto with our extension of it, and the vCenter simulator.
FROM ${PYTHON_IMAGE} AS lab
COPY tools/requirements.txt /tmp/
RUN pip install --no-cache-dir -r /tmp/requirements.txt
COPY lab/aws/labaws /opt/lab/labaws
COPY --from=build /out/lab /usr/local/bin/lab
RUN useradd --uid 65532 --create-home lab && install -d -o lab /var/lib/lab
WORKDIR /opt/lab
USER 65532
ENTRYPOINT []

FROM scratch AS drover
COPY --from=rootfs /rootfs/ /
COPY --from=build /out/drover /usr/bin/drover
ENV PATH=/usr/bin
USER 65532:65532
ENTRYPOINT ["/usr/bin/drover"]
CMD ["worker"]
