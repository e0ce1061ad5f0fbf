#!/usr/bin/env bash
# What `make install` and `make uninstall` do. Takes DESTDIR, PREFIX, SYSCONFDIR, PYTHON and ACCOUNT from the
# environment.
#
# The wheel is built and installed, never the checkout, with the locked dependencies, into a virtual environment that is
# created next to its destination and then renamed: a failed install leaves the old one unchanged. Must never touch an
# existing secret, settings file or store.
set -euo pipefail
umask 022
cd "$(dirname "${BASH_SOURCE[0]}")/.."

DESTDIR=${DESTDIR:-}
PREFIX=${PREFIX:-/usr/local}
SYSCONFDIR=${SYSCONFDIR:-/etc}
PYTHON=${PYTHON:-python3}
ACCOUNT=${ACCOUNT:-yes}

fail() { echo "make install: $1" >&2; exit 1; }

for folder in "$PREFIX" "$SYSCONFDIR" ${DESTDIR:+"$DESTDIR"}; do
  # These are written to units and scripts unquoted.
  [[ $folder =~ ^/[A-Za-z0-9._/+-]*$ ]] || fail "$folder: give an absolute path of letters, digits and . _ + - /"
done
PREFIX=${PREFIX%/} SYSCONFDIR=${SYSCONFDIR%/} DESTDIR=${DESTDIR%/}

root=$DESTDIR$PREFIX
venv=$PREFIX/lib/herod
units=$root/lib/systemd

# The owner of a folder or link in a path, or a user who can write to it, could redirect root to any file.
check_owners() {
  [[ $EUID == 0 ]] || return 0
  local path=$1 step=/ owner mode group name aim
  local -a names
  IFS=/ read -ra names <<< "${path#/}"
  for name in '' "${names[@]}"; do
    step=${step%/}/$name
    [[ -e $step || -L $step ]] || return 0
    read -r owner mode group <<< "$(stat -c '%u %a %G' "$step")"
    [[ $owner == 0 ]] ||
      fail "$step belongs to uid $owner, and root does not follow paths that another user can change: run as that user"
    if [[ ! -L $step ]]; then
      (( ! (8#$mode & 2) || 8#$mode & 01000 )) ||
        fail "$step is writable for every user, who could redirect root: chmod o-w $step"
      # Debian's group staff may write to /usr/local, and counts as root there.
      [[ $group == root || $group == staff ]] || (( ! (8#$mode & 8#20) || 8#$mode & 01000 )) ||
        fail "$step is writable for group $group, which could redirect root: chmod g-w $step"
    elif [[ -e $step ]]; then
      aim=$(readlink "$step")
      [[ $aim == /* ]] || aim=${step%/*}/$aim
      check_owners "$aim"
    fi
  done
}

check_places() {
  local place
  for place in "$root"/{bin,lib/{herod,systemd/{system,user},{sysusers,tmpfiles}.d},share/{,doc/}herod} \
    "$DESTDIR$SYSCONFDIR/herod"; do
    check_owners "$place"
  done
}

check_place() {
  check_places
  mkdir -p "$root/lib" "$DESTDIR$SYSCONFDIR/herod" 2> /dev/null && [[ -w $root/lib && -w $DESTDIR$SYSCONFDIR/herod ]] ||
    fail "$root and $DESTDIR$SYSCONFDIR/herod must be writable: run as root, or set PREFIX=, SYSCONFDIR= or DESTDIR="
}

system_files() { # the installed files below PREFIX, besides the environment
  printf '%s\n' bin/herod lib/systemd/system/herod.{service,socket} lib/systemd/user/herod.{service,socket} \
    lib/sysusers.d/herod.conf lib/tmpfiles.d/herod.conf
}

clean_up() { # on any exit: without a new environment, restore the old one
  if [[ -e $staged/old && ! -e $root/lib/herod ]]; then mv "$staged/old" "$root/lib/herod"; fi
  rm -rf "$work" "$staged"
}

make_environment() {
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "herod needs Python 3.11 or newer: PYTHON="
  "$PYTHON" -c 'import ensurepip, venv' 2> /dev/null || fail 'this Python cannot create virtual environments: apt install python3-venv'
  work=$(mktemp -d)
  staged=$(mktemp -d "$root/lib/.herod.XXXXXX")
  trap clean_up EXIT
  local pip=("$work/build/bin/python" -m pip --disable-pip-version-check --no-input) quiet
  quiet=(--quiet --no-deps --root-user-action=ignore)

  echo 'building the wheels'
  "$PYTHON" -m venv "$work/build"
  "${pip[@]}" install "${quiet[@]}" --no-compile --require-hashes -r requirements/build.txt
  local project
  for project in clients/python .; do
    (cd "$project" && "$work/build/bin/python" -m hatchling build -t wheel -d "$work/dist") > "$work/log" 2>&1 ||
      { cat "$work/log" >&2; exit 1; }
  done

  echo "installing them with their locked dependencies in $venv"
  "$PYTHON" -m venv --without-pip "$staged/herod"
  pip+=(--python "$staged/herod/bin/python")
  "${pip[@]}" install "${quiet[@]}" --no-compile --require-hashes -r requirements/run.txt
  # By name: a wheel's path would be recorded in the install, and is temporary.
  "${pip[@]}" install "${quiet[@]}" --no-compile --no-index --find-links "$work/dist" herod-client herod
  # The scripts of an environment contain its path, and herod needs none: bin/herod below calls its Python.
  find "$staged/herod/bin" -mindepth 1 ! -name 'python*' -delete
  # The line with the creating command contains a temporary path.
  sed -i -e "s|$staged/herod|$venv|g" -e "/^command = /d" "$staged/herod/pyvenv.cfg"
  # The service cannot write there, so compile it now, with the final paths.
  "$staged/herod/bin/python" -I -m compileall -q -f -s "$staged/herod" -p "$venv" "$staged/herod/lib"

  if [[ -e $root/lib/herod ]]; then mv "$root/lib/herod" "$staged/old"; fi
  mv "$staged/herod" "$root/lib/herod"
}

put() { # put FILE TARGET [MODE]: copy with this install's paths
  local target=$2
  mkdir -p "$(dirname "$target")"
  sed -e "s|/usr/local/|$PREFIX/|g" -e "s|/etc/herod|$SYSCONFDIR/herod|g" "$1" > "$target.new"
  chmod "${3:-0644}" "$target.new"
  mv -f "$target.new" "$target"
}

put_files() {
  local file
  put tools/herod.sh "$root/bin/herod" 0755
  for file in {,user/}herod.{service,socket}; do
    put "systemd/$file" "$units/$([[ $file == user/* ]] || echo system/)$file"
  done
  # /etc is herod's only default for system settings.
  if [[ $SYSCONFDIR != /etc ]]; then
    sed -i "/^Environment=\"HEROD_BIND/i Environment=HEROD_CONFIG=$SYSCONFDIR/herod/herod.toml" \
      "$units/system/herod.service"
  fi
  put systemd/herod.sysusers.conf "$root/lib/sysusers.d/herod.conf"
  put systemd/herod.tmpfiles.conf "$root/lib/tmpfiles.d/herod.conf"
  for file in systemd/herod.{service,socket}.d/*.conf systemd/herod.toml; do
    put "$file" "$root/share/herod/$(basename "$file")"
  done
  for file in README.md CHANGELOG.md LICENSE docs/*.md docs/security/*.md; do
    put "$file" "$root/share/doc/herod/${file#docs/}"
  done
  sed -i 's|](docs/|](|g' "$root/share/doc/herod/README.md" # the pages are next to it there
  if [[ ! -e $DESTDIR$SYSCONFDIR/herod/herod.toml ]]; then
    put systemd/herod.toml "$DESTDIR$SYSCONFDIR/herod/herod.toml"
  fi
}

has_account() { getent passwd herod > /dev/null && getent group herod > /dev/null; }

make_account() {
  if has_account; then return; fi
  if command -v systemd-sysusers > /dev/null; then
    systemd-sysusers "$root/lib/sysusers.d/herod.conf"
  else
    getent group herod > /dev/null || groupadd --system herod
    useradd --system --gid herod --home-dir /var/lib/herod --no-create-home --shell /usr/sbin/nologin herod
  fi
}

make_secret() {
  local secret=$SYSCONFDIR/herod/hero_secret
  [[ -e $secret || -L $secret ]] && return
  (umask 077; "$root/bin/herod" secret generate --output-file "$secret" > /dev/null)
  echo "A new secret is in $secret. Keep a copy elsewhere: without it nobody can open the store."
}

do_install() {
  check_place
  [[ -n $DESTDIR || $ACCOUNT != yes || $EUID == 0 ]] || has_account ||
    fail 'only root can create user and group herod: run as root, or set ACCOUNT=no'
  make_environment
  put_files
  if [[ -n $DESTDIR ]]; then
    echo "herod is in $DESTDIR. The target machine needs user and group herod and $SYSCONFDIR/herod/hero_secret:"
    echo "see docs/install.md, \"From a package\"."
    return
  fi
  if [[ $ACCOUNT == yes ]]; then make_account; fi
  make_secret
  case $PREFIX/ in
    /home/* | /root/* | /run/user/*) echo "warning: the service cannot see $PREFIX: ProtectHome= hides it" >&2 ;;
  esac
  # systemd searches only these two for units; elsewhere it needs the file's path, which it then links.
  local unit=herod
  [[ $PREFIX == /usr || $PREFIX == /usr/local ]] || unit=$units/system/herod.service
  echo
  echo 'herod is installed. To start it, now and at boot:'
  echo '  systemctl daemon-reload'
  if [[ $unit != herod ]]; then echo "  systemctl link $units/system/herod.socket"; fi
  echo "  systemctl enable --now $unit      (after an update: systemctl restart herod)"
  echo '  herod doctor'
}

do_uninstall() {
  local name file
  check_places
  # Only a service of this install, and only if systemd is running.
  if [[ -z $DESTDIR && -d /run/systemd/system ]]; then
    for name in herod.socket herod.service; do
      file=$(systemctl show --property FragmentPath --value "$name")
      if [[ -n $file && $(readlink -f "$file") == "$(readlink -f "$units/system/$name")" ]]; then
        systemctl disable --now "$name"
      fi
    done
  fi
  system_files | while read -r file; do rm -f "$root/$file"; done
  if [[ -z $DESTDIR && -d /run/systemd/system ]]; then systemctl daemon-reload; fi
  rm -rf "$root/lib/herod" "$root/share/herod" "$root/share/doc/herod"
  for file in lib/systemd/{system,user} lib/systemd lib/{sysusers,tmpfiles}.d; do
    if [[ -d $root/$file ]]; then rmdir --ignore-fail-on-non-empty "$root/$file"; fi
  done
  echo "herod is removed from $root. Kept: $SYSCONFDIR/herod with the secret, /var/lib/herod with the store,"
  echo 'user and group herod.'
}

case ${1:-} in
  install) do_install ;;
  uninstall) do_uninstall ;;
  *) fail "give install or uninstall" ;;
esac
