#!/bin/sh
# Makes .venv with the locked packages and the package itself, so that .venv/bin/ringback is there. Does nothing, quickly,
# when nothing that it was made from has changed. PYTHON names the interpreter to use (at least 3.11).
set -eu
cd "$(dirname "$0")/.."

stop() {
	echo "setup: $*" >&2
	exit 1
}

new_enough() {
	"$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
	for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
		if command -v "$candidate" >/dev/null 2>&1 && new_enough "$candidate"; then
			command -v "$candidate"
			return
		fi
	done
	stop "Ringback needs Python 3.11 or newer (Debian 12 or newer: apt-get install python3); none was found"
}

# A digest of all that the environment is made from; the interpreter's own version is among it.
recipe() {
	{
		"$python" -VV
		cat pyproject.toml requirements/dev.txt tools/setup.sh
		pwd
	} | cksum
}

make_environment() {
	if "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
		"$python" -m venv --clear .venv
		return
	fi
	# Debian keeps ensurepip in a package of its own.
	if tools/debian.sh install python3-venv && "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
		"$python" -m venv --clear .venv
	elif "$python" -m pip --version >/dev/null 2>&1; then
		"$python" -m venv --clear --without-pip .venv
	else
		stop "this Python cannot make an environment with pip in it: install the Debian package python3-venv"
	fi
}

install() {
	if .venv/bin/python -m pip --version >/dev/null 2>&1; then
		.venv/bin/python -m pip --disable-pip-version-check install -qq "$@"
	else
		"$python" -m pip --disable-pip-version-check --python .venv/bin/python install -qq "$@"
	fi
}

python=$(find_python)
wanted=$(recipe)
stamp=.venv/.made-from
if [ -x .venv/bin/ringback ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && .venv/bin/python -c '' 2>/dev/null; then
	exit 0
fi

echo "setup: making .venv with $("$python" -V) (a minute or two the first time)"
rm -f "$stamp"
if ! { [ -x .venv/bin/python ] && new_enough .venv/bin/python; }; then
	make_environment
fi
# The lock names versions and hashes; where from is the machine's own affair.
install --require-hashes -r requirements/dev.txt
install --no-deps --no-build-isolation -e .
[ -x .venv/bin/ringback ] || stop ".venv/bin/ringback is missing after the installation"
echo "$wanted" >"$stamp"
echo "setup: .venv/bin/ringback is ready"
