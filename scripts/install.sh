#!/usr/bin/env bash
# Installs what is missing on Debian or Ubuntu. `build`: what the build and the demo need; `test`: what the tests need too.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-build}

missing=()
need() { # need PACKAGE: unless it is installed
  dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'install ok installed' || missing+=("$1")
}
need_command() { # need_command COMMAND PACKAGE: unless the command is there
  command -v "$1" >/dev/null || missing+=("$2")
}

need_command gcc gcc
need_command make make
need_command psql postgresql-client
need libclang-dev
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing+=(postgresql)
need_command python3 python3
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
if [ "$what" = test ]; then
  need_command java default-jdk-headless
  need_command javac default-jdk-headless
  need libpostgresql-jdbc-java
  need libhikaricp-java
  need libslf4j-java
  need libhibernate3-java
  need libjavassist-java
  need_command go golang-go
  need libpq-dev
  need ruby-activerecord
  need ruby-pg
  need_command node nodejs
  need_command npm npm
  need haproxy
  command -v google-chrome >/dev/null || need_command chromium chromium
  need fonts-dejavu-core
  need pgbouncer
  need_command valgrind valgrind
fi

if [ ${#missing[@]} -gt 0 ]; then
  echo "installing: ${missing[*]}"
  sudo=
  [ "$(id -u)" = 0 ] || sudo=sudo
  export DEBIAN_FRONTEND=noninteractive
  $sudo apt-get update -qq
  $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  # The tests start their own; the packages' services would hold ports, 6432 among them.
  for service in haproxy pgbouncer; do
    if [[ " ${missing[*]} " == *" $service "* ]]; then
      $sudo systemctl disable --now "$service" >/dev/null 2>&1 || $sudo service "$service" stop >/dev/null 2>&1 || true
    fi
  done
fi
command -v cargo >/dev/null || { echo "Rust is missing: install it with rustup, then run this again" >&2; exit 1; }

if [ "$what" = test ]; then
  rustup component list --installed 2>/dev/null | grep -q '^clippy' || rustup component add clippy
  rustup component list --installed 2>/dev/null | grep -q '^rustfmt' || rustup component add rustfmt
  for tests in drivers root_keys; do
    [ -x "tests/$tests/install.sh" ] && "tests/$tests/install.sh"
  done
fi
exit 0
