#!/usr/bin/env bash
# need.sh NAME... makes sure that commands exist whose Debian packages have the same
# name, or packages that have no such command: root on a machine with apt-get gets
# them installed, everybody else is told what is missing.
set -euo pipefail

# have NAME: it is a command, or a package that is installed.
have() {
	command -v "$1" >/dev/null ||
		[[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

missing=()
for name in "$@"; do
	have "$name" || missing+=("$name")
done
((${#missing[@]})) || exit 0

if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
	echo "please install: ${missing[*]} (on Debian or Ubuntu: sudo apt-get install ${missing[*]})" >&2
	exit 1
fi
echo "installing ${missing[*]}" >&2
# A package may start a server when it is installed. Tests start their own.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
