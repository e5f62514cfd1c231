#!/usr/bin/env bash
# Takes docs/dashboard.png and docs/campaign.png: the pages of a worker that sends five
# made-up campaigns to the sandbox. Takes about a minute; needs Go and Chromium.
set -euo pipefail
cd "$(dirname "$0")/.."
unset "${!VELENTS_@}" "${!REDIS_@}" "${!WEBHOOK_@}" "${!ADMIN_@}" "${!NOTIFY_@}"
out=$(mktemp -d "${TMPDIR:-/tmp}/campaign-picture.XXXXXX")
trap 'kill $(jobs -p) 2>/dev/null; wait; rm -rf "$out"' EXIT

base=$((20000 + RANDOM % 10000))
export REDIS_URL="redis://127.0.0.1:$base/0"
export VELENTS_URL="http://127.0.0.1:$((base + 1))" VELENTS_TOKEN=picture VELENTS_RATE=10/10s VELENTS_CHANNEL_WHATSAPP=7
export WEBHOOK_URL="http://127.0.0.1:$((base + 2))" WEBHOOK_SECRET=picture
pages="http://127.0.0.1:$((base + 3))"

make --no-print-directory build
bin/sandbox --addr "127.0.0.1:$((base + 1))" --limit 10 --window 10s --value-keys name,company --seed 4 \
	--latency 50ms-400ms --fault-502 0.06 --webhooks --webhook-concurrency 4 \
	--bad-numbers +966522476554,+966525957654 >"$out/sandbox.log" 2>&1 &
bin/worker --embedded-redis --admin-addr "${pages#http://}" --webhook-addr ":$((base + 2))" >"$out/worker.log" 2>&1 &
for _ in {1..100}; do
	curl -sfo /dev/null "$pages/healthz" && break
	sleep 0.1
done

# launch NAME CHANNEL FLAGS... loads the list under a name; exit code 3 tells of refused lines.
launch() {
	bin/enqueue testdata/contacts-2000.csv --name "$1" --channel "$2" --region SA --rejects '' "${@:3}" \
		>/dev/null 2>>"$out/enqueue.log" || (($? == 3)) || { cat "$out/enqueue.log" >&2; exit 1; }
}
launch renewal-reminders whatsapp --sample 600 --chunk-size 100
launch win-back voice --not-in renewal-reminders --limit 300 --canary 50
launch survey whatsapp --limit 800 --chunk-size 100
sleep 8
bin/campaign pause survey --reason "waiting for the new text" >/dev/null
sleep 4
launch autumn-sale voice --suppress testdata/do-not-contact.csv --chunk-size 40
launch clinic-follow-up voice --sample 400 --hours 09:00-21:00 --timezone contact --start-at "$(date -u -d '+1 day' +%FT06:00:00Z)"
sleep 34

# picture FILE PATH WIDTH,HEIGHT
picture() {
	chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --force-color-profile=srgb --timeout=5000 \
		--user-data-dir="$out/chromium" --window-size="$3" --screenshot="$PWD/$1" "$pages$2" >>"$out/chromium.log" 2>&1
}
picture docs/dashboard.png / 1180,790
picture docs/campaign.png /campaigns/autumn-sale 1120,880
ls -l docs/*.png
