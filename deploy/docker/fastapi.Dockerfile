# The application of examples/fastapi, as a pattern for yours: the wheel is built once, the image has no compiler. From the top of the repository:
#   docker build -f deploy/docker/fastapi.Dockerfile -t shelflife-fastapi:0.1.0 .
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev make python3 python3-pip && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock README.md ./
COPY crates crates
COPY golden golden
# abi3: one wheel for every Python from 3.10 on.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    pip wheel --no-deps --wheel-dir /wheels ./crates/shelflife-py

FROM python:3.12-slim-bookworm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin app && install -d -o app /data
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir "$(echo /wheels/shelflife-*.whl)[fastapi]" "uvicorn>=0.34,<1"
COPY examples/fastapi /app
USER 10001:10001
WORKDIR /data
ENV PYTHONUNBUFFERED=1
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "uvicorn", "--app-dir", "/app", "app:app"]
CMD ["--host", "0.0.0.0", "--port", "8000"]
