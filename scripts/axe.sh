#!/usr/bin/env bash
# axe.sh prints the path of axe.min.js, which checks pages for barriers: $AXE, or that of a
# fixed version out of npm's registry, kept in the user's cache.
set -euo pipefail

version=4.14.1
integrity=FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==

if [[ -n ${AXE:-} ]]; then
	echo "$AXE"
	exit
fi
folder=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/campaign-runner/axe-core-$version
archive=$folder/axe-core-$version.tgz

# sound succeeds if the archive is the one that this file names.
sound() { [[ -f $archive && $(openssl dgst -sha512 -binary "$archive" | base64 -w0) == "$integrity" ]]; }

if ! sound; then
	"$(dirname "$0")/need.sh" npm openssl >&2
	mkdir -p "$folder"
	if ! npm pack --silent --ignore-scripts --pack-destination "$folder" "axe-core@$version" >/dev/null; then
		echo "axe-core $version cannot be had: npm's registry does not answer; set AXE to an axe.min.js" >&2
		exit 1
	fi
	if ! sound; then
		rm -f "$archive"
		echo "axe-core $version: what npm's registry gave is another file" >&2
		exit 1
	fi
fi
tar -xzf "$archive" -C "$folder" package/axe.min.js
echo "$folder/package/axe.min.js"
