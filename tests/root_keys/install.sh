#!/bin/sh
# Installs what tests of root keys need and is missing: moto's AWS server in a venv, softhsm2. Idempotent; as root it may use
# apt-get, else it says what to install.
set -eu
cd "$(dirname "$0")/../.."
here=$PWD/tests/root_keys
target=${CARGO_TARGET_DIR:-$PWD/target}/root_keys
mkdir -p "$target"

missing=
command -v softhsm2-util >/dev/null || missing="$missing softhsm2"
command -v pkcs11-tool >/dev/null || missing="$missing opensc"
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
if [ -n "$missing" ]; then
    if [ "$(id -u)" -ne 0 ]; then
        echo "tests/root_keys/install.sh: please install:$missing" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    if ! apt-get install -y -qq --no-install-recommends $missing >/dev/null; then
        apt-get update -qq
        # shellcheck disable=SC2086
        apt-get install -y -qq --no-install-recommends $missing >/dev/null
    fi
fi

# The marker of a finished step holds the checksum of what it was made from.
if ! [ -f "$target/venv.done" ] || [ "$(cat "$target/venv.done")" != "$(cksum <"$here/requirements.txt")" ]; then
    python3 -m venv --clear "$target/venv"
    "$target/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: -r "$here/requirements.txt"
    cksum <"$here/requirements.txt" >"$target/venv.done"
fi
