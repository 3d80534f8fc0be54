# Built in one image, run in another that holds the program, root certificates and nothing else: no shell, no package
# manager. The program runs as a user without rights and writes nowhere, so the root file system may be read-only.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# The caches keep downloads and dependencies between builds; the program is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --features nats --bin switchboard \
    && cp target/release/switchboard /switchboard

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /switchboard /usr/local/bin/switchboard
# Webhooks; the admin API stays on the container's loopback unless SWITCHBOARD_ADMIN__LISTEN says otherwise.
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/switchboard", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/switchboard"]
CMD ["serve"]
