# syntax=docker/dockerfile:1
# One image for scanner and server. `docker build -t tagledger .`; for both architectures
# `docker buildx build --platform linux/amd64,linux/arm64 .`. The compilers take 3.2 GB together with two jobs; JOBS=1 takes less.
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

# glibc, certificates, and nothing that could be run but the program itself.
FROM ${RUNTIME_IMAGE}
LABEL org.opencontainers.image.title="TagLedger" \
      org.opencontainers.image.description="How well an AWS estate is tagged, what the gaps cost, and how that changes, over MCP" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/usr /usr
COPY --from=build /out/etc/tagledger /etc/tagledger
# A new volume takes over who owns this folder.
COPY --from=build --chown=65532:65532 /out/data /data
# glibc gives large memory back to the system when it is freed: left alone it learns to keep it, tens of megabytes a thread.
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
