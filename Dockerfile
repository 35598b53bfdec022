# syntax=docker/dockerfile:1
FROM rust:1-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends libclang-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin columnseal

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/columnseal --create-home columnseal \
    && mkdir -p /var/lib/columnseal/home && chown -R columnseal:columnseal /var/lib/columnseal && chmod 700 /var/lib/columnseal/home
COPY --from=build /src/target/release/columnseal /usr/local/bin/columnseal
USER columnseal
WORKDIR /var/lib/columnseal
ENV COLUMNSEAL_HOME=/var/lib/columnseal/home
VOLUME /var/lib/columnseal
EXPOSE 6432 9930
ENTRYPOINT ["columnseal"]
CMD ["proxy"]
