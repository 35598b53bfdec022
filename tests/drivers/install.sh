#!/bin/sh
# Installs what tests/drivers needs and is missing. Idempotent; as root it may use apt-get, else it says what to install.
set -eu
cd "$(dirname "$0")/../.."
drivers=$PWD/tests/drivers
target=${CARGO_TARGET_DIR:-$PWD/target}/drivers
mkdir -p "$target"

# The marker of a finished step holds the checksum of what it was made from.
fresh() { [ -f "$target/$1.done" ] && [ "$(cat "$target/$1.done")" = "$(cksum <"$2")" ]; }
finished() { cksum <"$2" >"$target/$1.done"; }

apt() {
    if [ "$(id -u)" -ne 0 ]; then
        echo "tests/drivers/install.sh: please install: $*" >&2
        exit 1
    fi
    if ! DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    fi
}

missing=
command -v psql >/dev/null || missing="$missing postgresql-client"
[ -f /usr/share/java/postgresql.jar ] || missing="$missing libpostgresql-jdbc-java"
command -v javac >/dev/null || missing="$missing openjdk-17-jdk-headless"
command -v node >/dev/null || missing="$missing nodejs"
command -v npm >/dev/null || missing="$missing npm"
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
# shellcheck disable=SC2086
[ -z "$missing" ] || apt $missing

if ! fresh venv "$drivers/requirements.txt"; then
    python3 -m venv --clear "$target/venv"
    "$target/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: -r "$drivers/requirements.txt"
    finished venv "$drivers/requirements.txt"
fi

if ! fresh node "$drivers/package-lock.json"; then
    mkdir -p "$target/node"
    cp "$drivers/package.json" "$drivers/package-lock.json" "$target/node/"
    (cd "$target/node" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    finished node "$drivers/package-lock.json"
fi

if ! fresh java "$drivers/Main.java"; then
    mkdir -p "$target/java"
    javac -cp /usr/share/java/postgresql.jar -d "$target/java" "$drivers/Main.java"
    finished java "$drivers/Main.java"
fi
