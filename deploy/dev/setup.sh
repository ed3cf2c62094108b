#!/bin/bash
# Prepare a bare Debian 12 machine, as root, to build, test and show Berth. Quick when done already.
#   - Debian packages for what is missing; their services are kept from starting
#   - a virtual environment in .venv (or $BERTH_VENV) with exactly what requirements.lock says
# $BERTH_PYTHON names the Python to use (3.11 or later); default is the first that fits.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
venv="${BERTH_VENV:-.venv}"
export DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

say() { printf 'setup: %s\n' "$*"; }
die() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

# Which package brings which program.
tools=(
    etcd:etcd-server etcdctl:etcd-client dockerd:docker.io docker:docker.io
    docker-registry:docker-registry prometheus:prometheus promtool:prometheus
    busybox:busybox-static htpasswd:apache2-utils iptables:iptables ip:iproute2
    nsenter:util-linux unshare:util-linux git:git diff:diffutils strace:strace
)

# Debian starts a service as soon as it is installed, unless a policy forbids it. An etcd, an
# Engine or a Prometheus that nobody asked for would take ports and memory from what runs here.
policy=/usr/sbin/policy-rc.d
without_services() {
    local ours=0 code=0
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        ours=1
    fi
    "$@" || code=$?
    if [ "$ours" -eq 1 ]; then rm -f "$policy"; fi
    return "$code"
}

install_packages() { # install_packages NAME...
    [ "$(id -u)" -eq 0 ] || die "missing: $*. Run this as root, or: apt-get install $*"
    command -v apt-get >/dev/null || die "missing: $*. Install them; this script knows apt only"
    say "installing $*"
    apt-get -qq update
    without_services apt-get -qq -y --no-install-recommends install "$@" >/dev/null
}

install_tools() {
    local missing=() tool
    PATH="$PATH:/usr/sbin:/sbin"
    for tool in "${tools[@]}"; do
        command -v "${tool%%:*}" >/dev/null || missing+=("${tool##*:}")
    done
    if [ "${#missing[@]}" -gt 0 ]; then
        mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
        install_packages "${missing[@]}"
    fi
}

fits() { # Is this a Python 3.11 or later that can make virtual environments?
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local name
    for name in "${BERTH_PYTHON:-}" python3 python3.11 python3.12 python3.13 /usr/bin/python3; do
        if [ -n "$name" ] && fits "$name"; then
            command -v "$name"
            return
        fi
    done
    return 1
}

make_venv() {
    local python stamp wanted
    stamp="$venv/.setup-stamp"
    wanted="$(pwd) $(cat pyproject.toml requirements.lock | sha256sum | cut -d' ' -f1)"
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && "$venv/bin/python" -c 'import grpc' 2>/dev/null; then
        return
    fi
    if ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
        if ! python=$(find_python); then
            install_packages python3 python3-venv
            python=$(find_python) || die "no Python 3.11 or later: name one in BERTH_PYTHON"
        fi
        say "making $venv with $("$python" --version)"
        rm -rf "$venv"
        "$python" -m venv "$venv"
    fi
    say "installing what requirements.lock says"
    "$venv/bin/python" -m pip install --quiet --requirement requirements.lock
    # The lock holds the build tool too, so nothing that it does not name is ever fetched.
    "$venv/bin/python" -m pip install --quiet --no-deps --no-build-isolation --editable .
    printf '%s\n' "$wanted" >"$stamp"
}

install_tools
make_venv
