# To pin a base image to what you have tried, put the digest that
# docker buildx imagetools inspect IMAGE prints behind its tag: golang:1.26@sha256:…
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags="-s -w" -o /out/ ./cmd/...

FROM alpine:3.22 AS runner
RUN apk add --no-cache ca-certificates tzdata
COPY --from=build /out/ /usr/local/bin/
WORKDIR /data
USER 10001:10001
CMD ["worker"]
