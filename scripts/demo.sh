#!/usr/bin/env bash
# Rehearses a campaign: 2,000 contacts against a stand-in platform. That has a limit, is
# sometimes slow, sometimes fails, and once does its work but loses the answer. Needs Go.
# Exits 0, or 3 if some contacts were refused or are unconfirmed, as campaign watch does.
# With KEEP=1 the pages stay up until Ctrl-C.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n=== %s\n' "$*"; }
fail() {
	echo "demo: $*" >&2
	exit 1
}

# No setting of a real campaign reaches the rehearsal.
unset "${!VELENTS_@}" "${!REDIS_@}" "${!WEBHOOK_@}" "${!ADMIN_@}" "${!NOTIFY_@}"

out=$(mktemp -d "${TMPDIR:-/tmp}/campaign-demo.XXXXXX")

# stop PID ends a child, by force after ten seconds.
stop() {
	kill "$1" 2>/dev/null || true
	for _ in {1..100}; do
		kill -0 "$1" 2>/dev/null || return 0
		sleep 0.1
	done
	kill -KILL "$1"
	wait "$1" || true
}
trap 'for pid in $(jobs -p); do stop "$pid"; done' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# answers PORT succeeds if something listens there.
answers() { (: </dev/tcp/127.0.0.1/"$1") 2>/dev/null; }

# free_port prints a free port, below those of outgoing connections.
free_port() {
	local port
	while port=$((20000 + RANDOM % 12000)) && answers "$port"; do :; done
	echo "$port"
}

# wait_for PID LOG COMMAND... waits until the command succeeds, as long as PID lives.
wait_for() {
	local pid=$1 log=$2
	for _ in {1..300}; do
		"${@:3}" && return
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	cat "$log" >&2
	fail "did not start, see above"
}

admin_port=$(free_port)
cat <<END
This rehearses a campaign of 2,000 contacts against a stand-in platform. It contacts nobody.
  1. Go fetches and compiles what the commands need. The first time, that takes longest.
  2. The stand-in and a worker start. Watch them at http://127.0.0.1:$admin_port
  3. The list is sent, in about 40 seconds, and you see what became of each contact.
END

say "Building (after $SECONDS s)"
# With -v, Go names each package that it compiles; what else it says has a colon.
go build -v -o bin/ ./cmd/... 2>&1 | {
	built=0
	while read -r line; do
		if [[ $line == *:* ]]; then
			echo "$line"
			continue
		fi
		built=$((built + 1))
		if [[ -t 1 ]]; then printf '\r%d packages ' "$built"; fi
	done
	if [[ -t 1 ]]; then printf '\r'; fi
	echo "$built packages compiled"
}

say "Starting the sandbox and a worker (after $SECONDS s)"
bin/sandbox --addr 127.0.0.1:0 --limit 10 --window 10s --value-keys name,company \
	--fault-5xx 0.05 --fault-502 0.03 --seed 15 --latency 50ms-400ms --bad-numbers +966522476554,+966525957654 \
	>"$out/sandbox.out" 2>"$out/sandbox.log" &
sandbox=$!
wait_for "$sandbox" "$out/sandbox.log" test -s "$out/sandbox.out"

redis_port=$(free_port) # not before the build: by its end another may have taken it
export REDIS_URL="redis://127.0.0.1:$redis_port/0"
VELENTS_URL=$(grep -o 'http://[0-9.:]*' "$out/sandbox.out")
export VELENTS_URL VELENTS_TOKEN=demo-token VELENTS_RATE=10/10s
bin/worker --embedded-redis --admin-addr "127.0.0.1:$admin_port" >"$out/worker.log" 2>&1 &
worker=$!
wait_for "$worker" "$out/worker.log" answers "$redis_port"
wait_for "$worker" "$out/worker.log" answers "$admin_port"
echo "platform  $VELENTS_URL"
echo "pages     http://127.0.0.1:$admin_port"
echo "logs      $out"

# through COMMAND... runs it and accepts exit code 3: done, but not for everybody.
code=0
through() {
	code=0
	"$@" || code=$?
	((code == 0 || code == 3)) || exit "$code"
}

say "Enqueueing 2,000 contacts (their numbers are made up, so no range is known that has them)"
through bin/enqueue testdata/contacts-2000.csv --name demo --channel voice --region SA --chunk-size 100 \
	--suppress testdata/do-not-contact.csv --rejects "$out/rejects.csv"

say "Watching"
through bin/campaign watch demo >"$out/watch.out" # the same as show, below
ended=$code

say "What became of them"
bin/campaign show demo
bin/campaign verify demo
bin/campaign results demo -o "$out/results.csv"

if [[ ${KEEP:-} == 1 ]]; then
	say "The pages stay at http://127.0.0.1:$admin_port until Ctrl-C"
	echo "commands work beside them, such as: REDIS_URL=$REDIS_URL bin/campaign list"
	trap : INT # Ctrl-C ends the worker, and then the rest is said
	wait "$worker" || true
	trap 'exit 130' INT
fi
stop "$worker"
stop "$sandbox"
seen=$(tail -n 1 "$out/sandbox.out")
say "What the platform saw"
echo "$seen"
[[ $seen == *" repeated=0 "* ]] || fail "the platform was asked to contact somebody twice"
echo "nobody was contacted twice"
[[ $seen =~ cut_after=([0-9]+) ]]
if ((BASH_REMATCH[1])); then
	echo "requests that a proxy answered for the platform (502): ${BASH_REMATCH[1]}"
	echo "nobody can tell from that whether their contacts were reached, so they are unconfirmed:"
	echo "a person looks them up, and decides whether to send them again"
fi

say "Results: $out/results.csv"
exit "$ended"
