#!/bin/bash
# Put Berth on this machine as systemd services, upgrade it, or take it away. Run as root.
#
#   deploy/install.sh [--scheduler] [--agent] [--wheels FOLDER] [--python PYTHON]
#   deploy/install.sh --remove [--purge]
#
#   --scheduler, --agent  which services this machine runs; neither: the berth command alone.
#                         An upgrade keeps what is installed already.
#   --wheels FOLDER       take Python packages from there, and nothing from the network
#   --python PYTHON       Python 3.11 or later (python3)
#   --remove              stop the services and take the program away. Containers run on; settings,
#                         certificates and the node's identity stay, unless --purge is given too
#
# What goes where:
#   /opt/berth/releases/…   a virtual environment per installed release; the last two are kept
#   /opt/berth/bin          link to the one in use (units and /usr/local/bin/berth point there)
#   /opt/berth/share        documents, commented examples of settings, rules and dashboards
#   /etc/berth              settings: never overwritten; certificates in tls/, readable by root alone
#   /etc/systemd/system     berth.target and the units of the chosen services
set -euo pipefail
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
prefix=/opt/berth
units=/etc/systemd/system
services=()
wheels="" python=python3 remove=0 purge=0
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

say() { printf 'install: %s\n' "$*"; }
die() {
    printf 'install: %s\n' "$*" >&2
    exit 1
}

read_arguments() {
    while [ "$#" -gt 0 ]; do
        case "$1" in
        --scheduler) services+=(scheduler) ;;
        --agent) services+=(agent) ;;
        --wheels) shift && wheels=$(cd "${1:?--wheels needs a folder}" && pwd) ;;
        --python) shift && python=${1:?--python needs a program} ;;
        --remove) remove=1 ;;
        --purge) purge=1 ;;
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" && exit ;;
        *) die "there is no argument $1; see --help" ;;
        esac
        shift
    done
}

# In an image that is being built there is no systemd to talk to; units are then started at boot.
systemd_runs() { [ -d /run/systemd/system ]; }

install_program() {
    local release scratch script
    "$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' ||
        die "$python is not Python 3.11 or later with venv: install python3-venv, or name one (--python)"
    release=$prefix/releases/$(date -u +%Y%m%dT%H%M%S)
    scratch=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf '$scratch'" EXIT
    mkdir -p "$prefix/releases"
    say "making $release"
    # Built where it will stay: an environment knows its own path. A broken one is never linked to.
    "$python" -m venv "$release"
    cp -r "$source"/{pyproject.toml,README.md} "$scratch"
    for package in berth scheduler nodeagent gateway cli; do
        if [ -d "$source/$package" ]; then cp -r "$source/$package" "$scratch"; fi
    done
    local pip=("$release/bin/python" -m pip --quiet install --constraint "$source/requirements.lock")
    if [ -n "$wheels" ]; then pip+=(--no-index --find-links "$wheels"); fi
    if ! { "${pip[@]}" setuptools && "${pip[@]}" --no-build-isolation "$scratch"; }; then
        rm -rf "$release"
        die "the program was not installed; what was there before is untouched"
    fi
    "$release/bin/python" -m compileall -q "$release/lib" >/dev/null || true
    rm -rf "$prefix/share.new"
    mkdir -p "$prefix/share.new/doc" /usr/local/bin
    cp -r "$source"/docs/*.md "$prefix/share.new/doc"
    cp -r "$source"/deploy/{config,prometheus,grafana} "$prefix/share.new"
    for script in renew-credentials leave-cluster pause-restart; do
        install -D -m 0755 "$source/deploy/systemd/$script" "$prefix/share.new/systemd/$script"
    done
    rm -rf "$prefix/share"
    mv "$prefix/share.new" "$prefix/share"
    ln -sfn "$release/bin" "$prefix/bin.new"
    mv -T "$prefix/bin.new" "$prefix/bin"
    ln -sfn "$prefix/bin/berth" /usr/local/bin/berth
    find "$prefix/releases" -mindepth 1 -maxdepth 1 | sort -r | tail -n +3 | xargs -r rm -rf
}

add_user() { # add_user NAME
    getent passwd "$1" >/dev/null ||
        useradd --system --user-group --home-dir /nonexistent --no-create-home \
            --shell /usr/sbin/nologin "$1"
}

install_service() { # install_service scheduler|agent
    local unit=berth-$1.service
    if [ "$1" = agent ]; then
        getent group docker >/dev/null || groupadd --system docker
        add_user berth-agent
    else
        add_user berth
    fi
    install -d -m 0755 /etc/berth
    install -d -m 0700 /etc/berth/tls
    if [ ! -e "/etc/berth/$1.toml" ]; then
        install -m 0644 "$source/deploy/config/$1.toml" "/etc/berth/$1.toml"
        say "edit /etc/berth/$1.toml; check it with: $prefix/bin/berth-$1 --config /etc/berth/$1.toml --check-config"
    fi
    install -m 0644 "$source/deploy/systemd/$unit" "$source/deploy/systemd/berth.target" "$units"
    systemctl --quiet enable berth.target "$unit"
    for file in ca.crt "$1.crt" "$1.key"; do
        [ -e "/etc/berth/tls/$file" ] || say "missing: /etc/berth/tls/$file (berth certificate issue)"
    done
    if [ "$1" = scheduler ] && [ ! -e /etc/berth/sealing.key ]; then
        say "missing: /etc/berth/sealing.key, the same on all schedulers: (umask 077; openssl rand -base64 32 >sealing.key)"
    fi
}

installed_services() {
    local name
    for name in scheduler agent; do
        if [ -e "$units/berth-$name.service" ]; then echo "$name"; fi
    done
}

install_all() {
    mapfile -t -O "${#services[@]}" services < <(installed_services)
    install_program
    local name
    for name in $(printf '%s\n' "${services[@]}" | sort -u); do install_service "$name"; done
    if systemd_runs; then
        systemctl daemon-reload
        # What runs is restarted into the new release: no container is touched by that.
        for name in $(installed_services); do systemctl try-restart "berth-$name.service"; done
    fi
    say "done: $("$prefix/bin/berth" --version)"
}

remove_all() {
    local name
    for name in $(installed_services); do
        if systemd_runs; then systemctl --quiet stop "berth-$name.service"; fi
        systemctl --quiet disable "berth-$name.service"
        rm -f "$units/berth-$name.service" "/run/berth-restarts/berth-$name.service"
    done
    if [ -e "$units/berth.target" ]; then
        if systemd_runs; then systemctl --quiet stop berth.target; fi
        systemctl --quiet disable berth.target
    fi
    rm -f "$units/berth.target"
    if systemd_runs; then systemctl daemon-reload; fi
    if [ "$(readlink /usr/local/bin/berth)" = "$prefix/bin/berth" ]; then rm /usr/local/bin/berth; fi
    rm -rf "$prefix"
    for name in berth berth-agent; do
        if getent passwd "$name" >/dev/null; then userdel "$name"; fi
    done
    if [ "$purge" -eq 1 ]; then
        rm -rf /etc/berth /var/lib/berth-agent /run/berth-files "$units"/berth-{scheduler,agent}.service.d
        say "removed, with settings, certificates and the node's identity; containers run on"
    else
        say "removed; /etc/berth and /var/lib/berth-agent stay, containers run on"
    fi
}

read_arguments "$@"
[ "$(id -u)" -eq 0 ] || die "run this as root"
command -v systemctl >/dev/null || die "no systemd here: run the programs by hand, see README.md"
if [ "$remove" -eq 1 ]; then remove_all; else install_all; fi
