#!/usr/bin/env bash
# Get the programs that only tests need. Works on a bare Debian machine; does nothing when they are there already.
#
#   tests/install.sh [consul] [haproxy] [compose] [kustomize] [promtool] [redis-server] [pgbouncer] [chromium]
#   default: all of them
#
# All but the browser are unpacked from Debian's packages into the cache (TOCSIN_CACHE_DIR, else ~/.cache/tocsin): no
# root, nothing installed, no daemon started. consul, docker-compose and kustomize are not in every release of Debian, so
# they come from one that has them. The mirror is the one this machine already uses.
set -euo pipefail

cache="${TOCSIN_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/tocsin}"
tools="$cache/tools"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { printf 'tools: %s\n' "$*" >&2; }

refresh_lists() { # only root may; a machine just made has none
    [ "$(id -u)" = 0 ] && [ -z "${lists_are_fresh:-}" ] || return 0
    say "reading the package lists"
    apt-get -qq update
    lists_are_fresh=yes
}

mirror() { # where this machine gets Debian from
    apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' 'Created-By: Packages' | head -n 1
}

own_apt() { # apt-get over one release, with its state in the cache
    local suite=$1
    shift
    apt-get -qq -o Dir::Etc::sourcelist="$tools/apt/$suite.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State="$tools/apt/$suite/state" -o Dir::State::status="$tools/apt/$suite/status" \
        -o Dir::Cache="$tools/apt/$suite/cache" -o Acquire::Languages=none -o APT::Sandbox::User=root "$@"
}

unpack() { # unpack NAME SUITE BINARY PACKAGE...: packages of a release into $tools/NAME, and $tools/bin/NAME to run it
    local name=$1 suite=$2 binary=$3
    shift 3
    [ -x "$tools/bin/$name" ] && return 0
    say "getting $name from Debian $suite"
    local uri
    uri=$(mirror)
    [ -n "$uri" ] || { refresh_lists && uri=$(mirror); }
    [ -n "$uri" ] || { say "cannot get $name: no Debian mirror known here (run: apt-get update)"; return 1; }
    if [ ! -e "$tools/apt/$suite.list" ]; then
        mkdir -p "$tools/apt/$suite/state/lists/partial" "$tools/apt/$suite/cache/archives/partial"
        : >"$tools/apt/$suite/status"
        echo "deb [signed-by=$keyring] $uri $suite main" >"$tools/apt/$suite.list.new"
        mv "$tools/apt/$suite.list.new" "$tools/apt/$suite.list"
    fi
    [ -n "$(find "$tools/apt/$suite/state/lists" -name '*Packages*' -print -quit)" ] || own_apt "$suite" update || return 1
    local fresh="$tools/.$name.new"
    rm -rf "$fresh" && mkdir -p "$fresh/debs"
    (cd "$fresh/debs" && own_apt "$suite" download "$@") || return 1
    for deb in "$fresh"/debs/*.deb; do dpkg -x "$deb" "$fresh" || return 1; done
    [ -x "$fresh/$binary" ] || return 1
    rm -rf "$fresh/debs" "$tools/${name:?}"
    mv "$fresh" "$tools/$name"
    mkdir -p "$tools/bin"
    # The libraries that came along are for this program only.
    printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$@"\n' \
        "$(find "$tools/$name/usr/lib" -name '*.so*' -printf '%h\n' 2>/dev/null | sort -u | paste -sd:)" \
        "$tools/$name/$binary" >"$tools/bin/$name.new"
    chmod +x "$tools/bin/$name.new"
    mv "$tools/bin/$name.new" "$tools/bin/$name"
}

install_consul() { unpack consul bullseye usr/bin/consul consul; }
install_compose() { unpack compose trixie usr/libexec/docker/cli-plugins/docker-compose docker-compose; }
install_kustomize() { unpack kustomize trixie usr/bin/kustomize kustomize; }
install_promtool() { # and prometheus itself, which comes with it
    unpack promtool bookworm usr/bin/promtool prometheus
    ln -sf "$tools/promtool/usr/bin/prometheus" "$tools/bin/prometheus"
}
install_haproxy() {
    unpack haproxy bookworm usr/sbin/haproxy haproxy liblua5.3-0 libopentracing-c-wrapper0 libopentracing1
}
# Redis itself, with TLS: the Valkey that comes as a wheel is built without.
install_redis-server() {
    unpack redis-server bookworm usr/bin/redis-server redis-server redis-tools libjemalloc2 liblzf1 libssl3 libatomic1
}
install_pgbouncer() {
    unpack pgbouncer bookworm usr/sbin/pgbouncer pgbouncer libc-ares2 libevent-2.1-7 libssl3
}

install_chromium() {
    command -v chromium >/dev/null && return 0
    [ "$(id -u)" = 0 ] || { say "no browser: run  sudo apt-get install chromium"; return 1; }
    refresh_lists
    say "installing chromium"
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium >/dev/null
}

mkdir -p "$tools"
exec 9>"$tools/.lock"
flock 9
[ $# -gt 0 ] || set -- consul haproxy compose kustomize promtool redis-server pgbouncer chromium
missing=()
for name in "$@"; do
    "install_$name" || missing+=("$name")
done
[ ${#missing[@]} -eq 0 ] || { say "not there: ${missing[*]}. Their tests are skipped, or fail when CI=true."; exit 1; }
say "ready in $tools/bin"
