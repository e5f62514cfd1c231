# For another platform, or several: docker buildx build --platform linux/amd64,linux/arm64 .
# Nothing is run on the platform that is built for, so that needs no emulation.
#
# To pin a base image to what you have tried, put the digest that
# docker buildx imagetools inspect IMAGE prints behind its tag: golang:1.26@sha256:…
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS
ARG TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
# With .git, from which the commands know their commit.
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags="-s -w" -o /out/ ./cmd/... \
 && go run ./internal/thirdparty -texts >/THIRD_PARTY_LICENCES.txt

FROM alpine:3.22 AS runner
ARG VERSION=devel
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Campaign runner" \
      org.opencontainers.image.description="Runs bulk campaigns of an AI agent on the Velents platform" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.authors="The campaign runner authors" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/ /usr/local/bin/
COPY --from=build /THIRD_PARTY_LICENCES.txt /usr/share/doc/campaign-runner/
COPY LICENSE THIRD_PARTY.md /usr/share/doc/campaign-runner/
WORKDIR /data
USER 10001:10001
CMD ["worker"]
