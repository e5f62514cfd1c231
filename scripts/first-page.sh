#!/usr/bin/env bash
# Measures how long a stranger waits: from git clone until the demo's page answers. Everything
# is fetched and compiled anew, in a temporary folder; with WARM=1 Go's own caches are used.
set -euo pipefail
from=$(cd "$(dirname "$0")/.." && git rev-parse --show-toplevel)
dir=$(mktemp -d "${TMPDIR:-/tmp}/first-page.XXXXXX")
if [[ ${WARM:-} != 1 ]]; then
	export GOMODCACHE=$dir/modules GOCACHE=$dir/build GOFLAGS=-modcacherw # so that it can be removed
fi
trap 'kill "$demo" 2>/dev/null || true; wait "$demo" 2>/dev/null || true; rm -rf "$dir"' EXIT
demo=
SECONDS=0
git clone -q "$from" "$dir/clone"
cd "$dir/clone"
KEEP=1 scripts/demo.sh >"$dir/said" 2>&1 &
demo=$!
until page=$(grep -o -m1 'http://127.0.0.1:[0-9]*' "$dir/said") && curl -sf -o "$dir/page" "$page/"; do
	kill -0 "$demo" || { cat "$dir/said"; exit 1; } >&2
	sleep 0.2
done
echo "$SECONDS s from git clone to the first page, on $(getconf _NPROCESSORS_ONLN) processors; load $(cut -d' ' -f1-3 /proc/loadavg 2>/dev/null || uptime)"
