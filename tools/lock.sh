#!/bin/sh
# Writes requirements/*.txt anew from pyproject.toml: names, versions and hashes, and nothing of where packages come from.
#   tools/lock.sh            keeps the versions that still fit
#   tools/lock.sh --upgrade  takes the newest
#   tools/lock.sh --check    only fails when a lock file says more than that
set -eu
cd "$(dirname "$0")/.."

if [ "${1:-}" != --check ]; then
	quiet="--quiet --generate-hashes --no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links"
	for extra in runtime dev; do
		# shellcheck disable=SC2086  # one word an option
		.venv/bin/pip-compile $quiet --no-emit-options --allow-unsafe --strip-extras \
			$([ "$extra" = runtime ] || echo "--extra $extra") -o "requirements/$extra.txt" "$@" pyproject.toml
	done
fi

if grep -nE '^ *-[^-]|^--|://|^ *#.*/' requirements/*.txt; then
	echo "lock: a lock file names packages and hashes only" >&2
	exit 1
fi
