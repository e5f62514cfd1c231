#!/usr/bin/env bash
# need.sh NAME... makes sure that these commands, or Debian packages, are there. Root on a
# machine with apt-get gets them installed. Others read what is missing.
set -euo pipefail

# have NAME succeeds if NAME is a command or an installed package.
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
# Keep packages from starting servers: tests start their own.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
