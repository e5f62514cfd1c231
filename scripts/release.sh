#!/usr/bin/env bash
# release.sh OUT OS/ARCH... builds an archive of the commands for each platform, a Debian
# package for each Linux, and SHA256SUMS of them, into the folder OUT. The same commit gives
# the same files. MAINTAINER, as in "Ops <ops@example.org>", is who answers for the package.
# Needs Go, git and GNU tar, and no network but Go's module proxy.
set -euo pipefail
cd "$(dirname "$0")/.."
NFPM=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.4

out=$1
shift
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/campaign-release.XXXXXX")
trap 'rm -rf "$work"' EXIT

VERSION=$(scripts/version.sh)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
MAINTAINER=${MAINTAINER:-The campaign runner authors}
export VERSION SOURCE_DATE_EPOCH MAINTAINER

# build OS ARCH builds the commands for a platform, stripped, and without paths of this machine.
build() {
	GOOS=$1 GOARCH=$2 CGO_ENABLED=0 go build -buildvcs=true -trimpath -ldflags='-s -w' -o "$work/$1-$2/" ./cmd/...
}

host_os=$(go env GOHOSTOS) host_arch=$(go env GOHOSTARCH)
build "$host_os" "$host_arch"
if ! go version -m "$work/$host_os-$host_arch/worker" | grep -q vcs.revision; then
	echo "release: Go finds no commit here: build in a clone, not in a git worktree" >&2
	exit 1
fi

# Manual pages and completions, by the names that the package gives the commands.
export SHARE="$work/share"
mkdir -p "$SHARE"/{man/man1,bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d} "$work/names"
for name in campaign enqueue campaign-worker campaign-sandbox; do
	command="$work/names/$name"
	ln -s "$work/$host_os-$host_arch/${name#campaign-}" "$command"
	"$command" man "$SHARE/man/man1"
	"$command" completion bash >"$SHARE/bash-completion/completions/$name"
	"$command" completion zsh >"$SHARE/zsh/vendor-completions/_$name"
	"$command" completion fish >"$SHARE/fish/vendor_completions.d/$name.fish"
done
gzip -n9 "$SHARE"/man/man1/*

# What people read: the documents, and the licences of what is linked.
export DOC="$work/doc"
mkdir "$DOC"
cp -r docs README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE THIRD_PARTY.md "$DOC"
go run ./internal/thirdparty -texts >"$DOC/THIRD_PARTY_LICENCES.txt"

for target; do
	os=${target%/*} ARCH=${target#*/}
	BIN="$work/$os-$ARCH"
	export ARCH BIN
	[[ -d $BIN ]] || build "$os" "$ARCH"
	name="campaign-runner_${VERSION}_${os}_${ARCH}"
	mkdir "$work/$name"
	cp -r "$BIN"/* "$DOC"/* "$work/$name"
	tar -C "$work" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=go=rX -c "$name" | gzip -n9 >"$out/$name.tar.gz"
	if [[ $os == linux ]]; then
		go run "$NFPM" package --config packaging/nfpm.yaml --packager deb --target "$out"
	fi
done
cd "$out"
sha256sum campaign-runner_* | tee SHA256SUMS
