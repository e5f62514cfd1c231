#!/usr/bin/env bash
# need.sh COMMAND... makes sure that commands exist whose Debian packages have
# the same name: root on a machine with apt-get gets them installed, everybody
# else is told what is missing.
set -euo pipefail

missing=()
for name in "$@"; do
	command -v "$name" >/dev/null || missing+=("$name")
done
((${#missing[@]})) || exit 0

if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
	echo "please install: ${missing[*]} (on Debian or Ubuntu: sudo apt-get install ${missing[*]})" >&2
	exit 1
fi
echo "installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
