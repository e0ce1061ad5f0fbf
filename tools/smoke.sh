#!/usr/bin/env bash
# Start a daemon in a temporary folder, and run the 24 checks against it over the Unix socket and then over TCP.
# usage: smoke.sh BIN [REPORTS]: the environment's bin folder, and where to leave the JUnit files, if anywhere.
set -euo pipefail

bin=${1:?usage: smoke.sh BIN [REPORTS]}
reports=${2:-}
folder=$(mktemp -d)
daemon=

clean_up() {
  if [[ -n $daemon ]]; then
    kill "$daemon" 2> /dev/null || true
    wait "$daemon" || true
  fi
  rm -rf "$folder"
}
trap clean_up EXIT

port=$("$bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
(umask 077; "$bin/herod" secret generate > "$folder/hero_secret"; "$bin/herod" secret generate > "$folder/legacy")
env -u HERO_SECRET HERO_SECRET_FILE="$folder/hero_secret" XDG_CONFIG_HOME="$folder" "$bin/herod" serve \
  --bind "unix:$folder/herod.sock" --bind "127.0.0.1:$port" --store "sqlite:$folder/store/herod.db" \
  --bootstrap-admin-key smoke --user-secret "@$folder/legacy" --log-format json > "$folder/log" 2>&1 &
daemon=$!

for _ in {1..200}; do
  [[ -S $folder/herod.sock ]] && break
  kill -0 "$daemon" 2> /dev/null || break
  sleep 0.05
done
if [[ ! -S $folder/herod.sock ]]; then
  echo 'the daemon did not start:' >&2
  cat "$folder/log" >&2
  exit 1
fi

check() { # check NAME OPTION...
  local name=$1
  shift
  local report=()
  [[ -z $reports ]] || report=(--format junit --output-file "$reports/smoke-$name.xml")
  echo "over $name"
  "$bin/herod-smoke" --legacy-secret "@$folder/legacy" "$@" "${report[@]}" || {
    echo 'what the daemon logged last:' >&2
    tail -n 20 "$folder/log" >&2
    exit 1
  }
}

[[ -z $reports ]] || mkdir -p "$reports"
check unix --url "unix:$folder/herod.sock" --peer
check tcp --url "http://127.0.0.1:$port" --insecure-http --admin-key "@$folder/store/bootstrap-smoke.key"
