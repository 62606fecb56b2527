# What the scripts of this folder share. Sourced, not run: the caller has set -euo pipefail and stands in the project's root.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "needs root for: $*"; fi
}

# need_packages PACKAGE...: installs what is missing of these Debian packages.
need_packages() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  say "installing ${missing[*]}"
  as_root apt-get update -qq
  DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# restic_at_least VERSION BINARY
restic_at_least() {
  local have
  have=$("$2" version 2>/dev/null | sed -n 's/^restic \([0-9.]*\).*/\1/p') || return 1
  [ -n "$have" ] && [ "$(printf '%s\n%s\n' "$1" "$have" | sort -V | head -n 1)" = "$1" ]
}

# Sets RESTIC and REST_SERVER: what is installed, else Debian's own packages of trixie in the project's cache folder.
need_tools() {
  local cache=.cache/trixie/usr/bin
  RESTIC=$(command -v restic || true)
  { [ -n "$RESTIC" ] && restic_at_least 0.14 "$RESTIC"; } || RESTIC=$PWD/$cache/restic
  REST_SERVER=$(command -v rest-server || command -v restic-rest-server || true)
  [ -n "$REST_SERVER" ] || REST_SERVER=$PWD/$cache/restic-rest-server
  if [ ! -x "$RESTIC" ] || [ ! -x "$REST_SERVER" ]; then
    say "getting restic and rest-server from Debian trixie"
    deploy/deb-from-suite trixie .cache/trixie restic restic-rest-server
  fi
}

# wait_for_line FILE PATTERN PID: prints the first line of FILE that matches, or fails when the process ends first.
wait_for_line() {
  local line
  while :; do
    line=$(grep -m 1 -- "$2" "$1" 2>/dev/null) && { printf '%s\n' "$line"; return; }
    kill -0 "$3" 2>/dev/null || { cat "$1" >&2; return 1; }
    sleep 0.1
  done
}

# start_rest_server DIR LOG: starts one on a free loopback port; sets REST_PID and REST_PORT.
start_rest_server() {
  local line
  "$REST_SERVER" --path "$1" --listen 127.0.0.1:0 --append-only --private-repos >"$2" 2>&1 &
  REST_PID=$!
  line=$(wait_for_line "$2" 'start server on' "$REST_PID") || die "rest-server does not start"
  REST_PORT=${line##*:}
}
