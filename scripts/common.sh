# shellcheck shell=bash
# What every script here shares: where caches are, how progress and errors are told. To be sourced.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Read by the scripts that source this file.
# shellcheck disable=SC2034
cache=${FLEXVOLUME_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/flexvolume-operator}

# Standard output belongs to results (a path, a table); people read standard error.
say() {
    printf '==> %s\n' "$*" >&2
}

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# apt_install PACKAGE: only as root and where there is apt; callers say what is missing otherwise.
apt_install() {
    [[ $(id -u) = 0 ]] && command -v apt-get >/dev/null || return 1
    say "Installing the Debian package $1"
    apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >&2
}
