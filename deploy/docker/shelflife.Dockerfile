# The command: proxy, demo, and what operators ask. From the top of the repository:
#   docker build -f deploy/docker/shelflife.Dockerfile -t shelflife:0.1.0 .
FROM rust:1.95-slim-bookworm AS build
# C for SQLite (the demo's database), zstd and ring.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY golden golden
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked -p shelflife-cli && cp target/release/shelflife /shelflife && strip /shelflife

FROM debian:12-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin shelflife && install -d -o shelflife /data
COPY --from=build /shelflife /usr/local/bin/shelflife
COPY --chmod=755 deploy/docker/healthy /usr/local/bin/healthy
USER 10001:10001
WORKDIR /data
# The proxy stops by SIGTERM: it lets requests finish, for [shutdown] grace.
STOPSIGNAL SIGTERM
ENTRYPOINT ["shelflife"]
CMD ["--help"]
