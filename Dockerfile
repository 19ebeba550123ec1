# syntax=docker/dockerfile:1
# One image for the scanner and the server: `docker build -t tagledger .`. For both architectures:
# `docker buildx build --platform linux/amd64,linux/arm64 .`. With two jobs, the compilers use 3.2 GB of memory; with JOBS=1 less.
ARG RUST_IMAGE=rust:1.95-bookworm
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${RUST_IMAGE} AS build
ARG JOBS=2
ARG TARGETARCH
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,id=tagledger-target-${TARGETARCH} \
    cargo build --release --locked --jobs "${JOBS}" --bin tagledger \
    && install -D target/release/tagledger /out/usr/local/bin/tagledger \
    && install -D -m 0644 policies/tagging_policy.json /out/etc/tagledger/tagging_policy.json \
    && install -d /out/data

# The runtime image contains glibc, certificates and the program. It has no shell and no other program.
FROM ${RUNTIME_IMAGE}
LABEL org.opencontainers.image.title="TagLedger" \
      org.opencontainers.image.description="Answers over MCP how well an AWS estate is tagged, what the gaps cost, and how this changes" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/usr /usr
COPY --from=build /out/etc/tagledger /etc/tagledger
# A new volume has the owner of this folder.
COPY --from=build --chown=65532:65532 /out/data /data
# glibc raises this threshold at run time and then retains freed memory, tens of megabytes for each thread. With a fixed threshold,
# glibc returns large blocks to the system when they are freed.
ENV MALLOC_MMAP_THRESHOLD_=262144
ENV TAGLEDGER_STORE=/data/tagledger.sqlite \
    TAGLEDGER_KEYS=/data/keys.json \
    TAGLEDGER_AUDIT=/data/audit.sqlite \
    TAGLEDGER_POLICY=/etc/tagledger/tagging_policy.json \
    TAGLEDGER_LISTEN=0.0.0.0:8080 \
    TAGLEDGER_CONTROL_LISTEN=0.0.0.0:8081 \
    TAGLEDGER_LOG_FORMAT=json
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 8080 8081
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["/usr/local/bin/tagledger", "health"]
ENTRYPOINT ["/usr/local/bin/tagledger"]
CMD ["server"]
