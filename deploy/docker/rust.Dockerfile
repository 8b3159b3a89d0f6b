# One program of the workspace: --build-arg PACKAGE=pinchpoint-app-axum
FROM rust:1.95-slim AS build
WORKDIR /src
COPY . .
ARG PACKAGE
RUN cargo build --release --locked -p ${PACKAGE} && cp target/release/${PACKAGE} /program

FROM debian:12-slim
COPY --from=build /program /usr/local/bin/program
RUN useradd --system app
USER app
EXPOSE 8000
ENTRYPOINT ["program"]
