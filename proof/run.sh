#!/usr/bin/env bash
# Checks the models with spin: each configuration of the whole protocol must have no
# error, and each with a guard taken out must have one. Two run at a time.
# Arguments, if any: only the cases whose name matches one of them.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# name | model | settings | what is checked, or the property that breaks without the guard
cases='
claim, 1 contact, 2 faults, 1 act     | claim | -DC=1 -DFAULTS=2 -DPERSONS=1 | whole
claim, 2 contacts, 1 fault            | claim | -DC=2 -DFAULTS=1 -DPERSONS=0 | whole
claim, 2 contacts, 2 faults, 2xx only | claim | -DC=2 -DFAULTS=2 -DPERSONS=0 -DNO_ERRORS -DNO_EVENTS | whole
claim, 2 contacts that begin together | claim | -DC=2 -DFAULTS=1 -DPERSONS=0 -DGROUP | whole
claim, every contact is decided       | claim | -DC=1 -DFAULTS=1 -DPERSONS=0 -DLIVE | live
reservation, 2 faults                 | reservation | -DFAULTS=2 | whole
rollback, replicas waited for         | rollback | | whole
rollback, one worker that remembers   | rollback | -DONE | whole
no claim check                        | claim | -DC=1 -DFAULTS=2 -DPERSONS=1 -DNO_CLAIM | unconfirmed only if it may have left
no holder check                       | claim | -DC=1 -DFAULTS=2 -DPERSONS=1 -DNO_OWNER | nothing leaves for a decided contact
no compare                            | claim | -DC=1 -DFAULTS=2 -DPERSONS=1 -DNO_COMPARE | evidence never moves back
records by value, in one second       | claim | -DC=1 -DFAULTS=2 -DPERSONS=1 -DSECONDS | nothing leaves for a decided contact
no late fence of begin                | claim | -DC=1 -DFAULTS=2 -DPERSONS=1 -DNO_FENCE | no begin counts after it was given up
no late fence of recovery             | claim | -DC=1 -DFAULTS=2 -DPERSONS=1 -DNO_RECOVERY_FENCE | no living claim is ended
no heartbeat look, no claim margin    | claim | -DC=1 -DFAULTS=2 -DPERSONS=1 -DNO_LOOK | nobody twice
no doubt                              | claim | -DC=1 -DFAULTS=2 -DPERSONS=1 -DNO_DOUBT | failed was never reached
no rule for lost answers              | claim | -DC=1 -DFAULTS=2 -DPERSONS=1 -DNO_LOSS | nobody twice
no evidence without a claim           | claim | -DC=1 -DFAULTS=2 -DPERSONS=1 -DNO_EVIDENCE | a 2xx that is written down counts
no rule for repeats, no taking back   | claim | -DC=1 -DFAULTS=1 -DPERSONS=0 -DNO_REPEAT -DNO_MOVED_BACK | unconfirmed only if it may have left
no taking back after a repeat         | claim | -DC=2 -DFAULTS=1 -DPERSONS=0 -DNO_MOVED_BACK | unconfirmed only if it may have left
no check for unrecovered              | claim | -DC=2 -DFAULTS=2 -DPERSONS=0 -DNO_ERRORS -DNO_EVENTS -DNO_UNRECOVERED | each request counts once
no reservation                        | reservation | -DFAULTS=2 -DNO_RESERVATION | nobody twice
no standing                           | reservation | -DFAULTS=2 -DNO_STANDING | nobody twice
no compare when taken over            | reservation | -DFAULTS=2 -DNO_SWAP | nobody twice
no compare when given back            | reservation | -DFAULTS=2 -DNO_DELETE_OWN | nobody twice
no late fence of begin, reserved      | reservation | -DFAULTS=2 -DNO_FENCE | nobody twice
record read before the reservation    | reservation | -DFAULTS=2 -DNO_RECORD_LATE | nobody twice
ledger before record                  | reservation | -DFAULTS=2 -DNO_ORDER | nobody twice
ledger before record, recovery        | reservation | -DFAULTS=2 -DNO_ORDER_RECOVERY | nobody twice
given back before the ledger          | reservation | -DFAULTS=2 -DNO_GIVE_BACK_LAST | nobody twice
no wait for replicas                  | rollback | -DNO_WAIT | nobody twice
no halt on lost writes                | rollback | -DONE -DNO_HALT | nobody twice
no count of begun requests            | rollback | -DONE -DNO_REQUESTS | nobody twice
no memory of a pause that is lost     | rollback | -DONE -DNO_MEMORY | nobody twice
'

# check runs one case in a directory of its own and writes a line of the table.
check() {
	local n=$1 name=$2 model=$3 settings=$4 expect=$5 dir="$work/$1" compile=(-DSAFETY) run=() found result=ok
	mkdir "$dir" && cp ./*.pml "$dir" && cd "$dir"
	if [ "$expect" = live ]; then compile=(-DNFAIR=3) run=(-a -f); fi
	# shellcheck disable=SC2086 # settings are words
	spin $settings -a "$model.pml" >spin.out 2>&1 || { cat spin.out >&2; exit 1; }
	gcc -O2 -w -DNOREDUCE -DMEMLIM=6000 "${compile[@]}" -o pan pan.c
	./pan "${run[@]}" -m1000000 -w22 >pan.out 2>&1 || true
	if grep -q 'errors: 0' pan.out && ! grep -q 'Search not completed' pan.out; then found=none
	elif grep -qE 'assertion violated|acceptance cycle' pan.out; then found=error
	else found='not exhausted'; fi
	case $expect:$found in
	whole:none | live:none) ;;
	whole:* | live:*) result=FAILED ;;
	*:error) ;;
	*) result=FAILED ;;
	esac
	printf '%-6s | %-37s | %9s | %-13s | %s\n' "$result" "$name" "$(sed -nE 's/^ *([0-9.e+]+) states, stored.*/\1/p' pan.out)" "$found" "$expect" >"$work/$n.line"
	cat "$work/$n.line"
	rm -rf "$dir"
}

printf '%-6s | %-37s | %9s | %-13s | %s\n' '' case states errors 'checked: whole or live protocol, or what breaks'
n=0
while IFS='|' read -r name model settings expect; do
	[ -n "$model" ] || continue
	read -r name <<<"$name"; read -r model <<<"$model"; read -r settings <<<"$settings" || true; read -r expect <<<"$expect"
	if [ $# -gt 0 ] && ! grep -qF "$(printf '%s\n' "$@")" <<<"$name"; then continue; fi
	n=$((n + 1))
	while [ "$(jobs -r | wc -l)" -ge 2 ]; do wait -n || true; done
	check "$n" "$name" "$model" "$settings" "$expect" &
done <<<"$cases"
while [ -n "$(jobs -r)" ]; do wait -n || true; done
[ "$(cat "$work"/*.line | wc -l)" = "$n" ] || { echo "proof: some cases did not end" >&2; exit 1; }
if cat "$work"/*.line | grep -q ^FAILED; then exit 1; fi
