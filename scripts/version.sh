#!/usr/bin/env bash
# version.sh prints the version of the commit that is checked out, so that dpkg sorts a later
# one behind it: 1.0.0 at a tag, 1.0.0+5.g0f58b1a behind it, 1.1.0~rc1 at v1.1.0-rc1, and
# before the first tag the time of the commit: 0.0.0+20261130143015.g0f58b1a.
set -euo pipefail
if version=$(git describe --tags --match 'v[0-9]*' 2>/dev/null); then
	sed -E 's/^v//; s/-([0-9]+)-(g[0-9a-f]+)$/+\1.\2/; s/-/~/g' <<<"$version"
else
	TZ=UTC git log -1 --date=format-local:%Y%m%d%H%M%S --format=0.0.0+%cd.g%h
fi
