#!/bin/sh
# Debian packages, used only where they may be: as root, or where `sudo -n` needs no password. RINGBACK_NO_APT=1 forbids it.
#   tools/debian.sh install NAME…   installs them; exit 1, with the reason, where it cannot
#   tools/debian.sh peers           installs the foreign peers that the tests talk to; exit 1 names what is still missing
# Servers among them are not started by their installation.
set -eu

say() {
	echo "debian: $*" >&2
}

may_install() {
	[ "${RINGBACK_NO_APT:-}" = 1 ] && return 1
	command -v apt-get >/dev/null 2>&1 || return 1
	if [ "$(id -u)" = 0 ]; then
		as_root=
	elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
		as_root="sudo -n"
	else
		return 1
	fi
}

# Debian asks this file whether a service may start; 101 is "no". Somebody else's answer is left alone.
policy=/usr/sbin/policy-rc.d
forbid_start() {
	[ -e "$policy" ] && return
	trap '$as_root rm -f "$policy"' EXIT
	trap 'exit 130' INT TERM
	printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
	$as_root chmod 755 "$policy"
}

install() {
	if ! may_install; then
		say "cannot install here (no root, no password-free sudo, or no apt-get): $*"
		return 1
	fi
	say "installing $*"
	forbid_start
	quiet="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120"
	$quiet update >/dev/null || say "the package lists could not be refreshed; going on with those that are here"
	$quiet install --yes --no-install-recommends "$@" >/dev/null
}

# command, the package that brings it
peers="sipp:sip-tester baresip:baresip-core sipsak:sipsak kamailio:kamailio tshark:tshark sqlite3:sqlite3"

missing_peers() {
	for pair in $peers; do
		PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%:*}" >/dev/null 2>&1 || echo "${pair##*:}"
	done
	ls /usr/lib/*/kamailio/modules/db_sqlite.so >/dev/null 2>&1 || echo kamailio-sqlite-modules
}

case "${1:-}" in
install)
	shift
	install "$@"
	;;
peers)
	wanted=$(missing_peers)
	[ -z "$wanted" ] && exit 0
	# shellcheck disable=SC2086  # one word a package
	install $wanted || true
	wanted=$(missing_peers)
	[ -z "$wanted" ] && exit 0
	say "missing for the tests against foreign peers: $(echo $wanted)"
	exit 1
	;;
*)
	say "usage: tools/debian.sh install NAME… | peers"
	exit 2
	;;
esac
