#!/bin/sh
# Installs the system tools that are missing: Python with venv, ffmpeg, and chromaprint's fpcalc with its library; with
# --dev also what tests and benchmarks need. Says and does nothing when all is there. Without the right to install it
# lists what to install, and fails only if Python or its venv module is missing.
set -eu

PYTHON=${PYTHON:-python3}

usage() {
    echo "usage: $0 [--dev]" >&2
    exit 2
}

has() {
    command -v "$1" >/dev/null 2>&1
}

has_python() {
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

is_ubuntu() {
    grep -qs '^ID=ubuntu' /etc/os-release
}

has_venv() {
    # Debian ships venv without ensurepip, so that it is there and still cannot make an environment.
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null
}

missing_packages() {
    has_python || echo python3
    has_venv || echo python3-venv
    has ffmpeg && has ffprobe || echo ffmpeg
    has fpcalc || echo libchromaprint-tools
    [ "$dev" = no ] && return
    # Ubuntu has it as a snap only; the tests of the page are skipped there.
    has chromium || is_ubuntu || echo chromium
    has curl || echo curl
    has git || echo git
    has make || echo make
    has mpc || echo mpc
    has mpd || echo mpd
    has openssl || echo openssl
    has sqlite3 || echo sqlite3
}

mpd_is_running() {
    if [ -d /run/systemd/system ]; then
        systemctl is-active --quiet mpd.service || systemctl is-active --quiet mpd.socket
    else
        service mpd status >/dev/null 2>&1
    fi
}

# The package starts a daemon for the whole machine; benchmarks start their own with their own folders.
keep_mpd_off() {
    if [ -d /run/systemd/system ]; then
        as_root systemctl --quiet disable --now mpd.socket mpd.service >/dev/null 2>&1 || true
    else
        as_root service mpd stop >/dev/null 2>&1 || true
        as_root update-rc.d mpd disable >/dev/null 2>&1 || true
    fi
}

can_be_root() {
    [ "$(id -u)" -eq 0 ] || { has sudo && sudo -n true 2>/dev/null; }
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

install_packages() {
    log=$(mktemp)
    echo "Installing system tools: $*"
    if ! {
        as_root apt-get update -q -o Acquire::Retries=3 &&
            as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
                -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 "$@"
    } >"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

dev=no
case "${1-}" in
    "") ;;
    --dev) dev=yes ;;
    *) usage ;;
esac
[ $# -le 1 ] || usage

missing=$(missing_packages | tr '\n' ' ')
[ -n "$missing" ] || exit 0

if has apt-get && can_be_root; then
    mpd_to_stop=no
    case " $missing" in
        *" mpd "*) mpd_is_running || mpd_to_stop=yes ;;
    esac
    # shellcheck disable=SC2086 # a list of package names
    install_packages $missing || echo "Not everything could be installed." >&2
    [ "$mpd_to_stop" = no ] || keep_mpd_off
    missing=$(missing_packages | tr '\n' ' ')
    [ -n "$missing" ] || exit 0
fi

echo "Please install what is missing, on Debian and Ubuntu with:" >&2
echo "    sudo apt-get install --no-install-recommends $missing" >&2
if has_python && has_venv; then
    echo "Going on without it." >&2
    exit 0
fi
echo "Nothing works without Python 3.11 or newer and its venv module." >&2
exit 1
