#!/bin/sh
# Installs what tests/drivers, tests/orm and tests/dashboard need and is missing. Idempotent; as root it may use apt-get, else it says what to install.
set -eu
cd "$(dirname "$0")/../.."
drivers=$PWD/tests/drivers
orm=$PWD/tests/orm
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
command -v google-chrome >/dev/null || command -v chromium >/dev/null || missing="$missing chromium fonts-dejavu-core"
command -v psql >/dev/null || missing="$missing postgresql-client"
[ -f /usr/share/java/HikariCP.jar ] || missing="$missing libhikaricp-java libslf4j-java"
[ -f /usr/share/java/postgresql.jar ] || missing="$missing libpostgresql-jdbc-java"
command -v javac >/dev/null || missing="$missing openjdk-17-jdk-headless"
command -v node >/dev/null || missing="$missing nodejs"
command -v npm >/dev/null || missing="$missing npm"
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
[ -f /usr/share/java/hibernate-core.jar ] || missing="$missing libhibernate3-java"
[ -f /usr/share/java/javassist.jar ] || missing="$missing libjavassist-java"
command -v go >/dev/null || missing="$missing golang-go"
command -v pg_config >/dev/null || missing="$missing libpq-dev"
ruby -e 'require "active_record"; require "pg"' 2>/dev/null || missing="$missing ruby-activerecord ruby-pg"
# shellcheck disable=SC2086
[ -z "$missing" ] || apt $missing

if ! fresh venv "$drivers/requirements.txt"; then
    python3 -m venv --clear "$target/venv"
    "$target/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: -r "$drivers/requirements.txt"
    finished venv "$drivers/requirements.txt"
fi

if ! fresh node "$drivers/package-lock.json"; then
    rm -f "$target/prisma.done"
    mkdir -p "$target/node"
    cp "$drivers/package.json" "$drivers/package-lock.json" "$target/node/"
    (cd "$target/node" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    finished node "$drivers/package-lock.json"
fi

# Mappers need a newer Node than Debian 12 has.
node=$(command -v node)
if ! node -e 'const [major, minor] = process.versions.node.split("."); process.exit(major * 100 + +minor >= 2019 ? 0 : 1)'; then
    newer=node-linux-$(node -p process.arch)
    [ -x "$target/newer/node_modules/$newer/bin/node" ] ||
        npm install --prefix "$target/newer" --no-save --ignore-scripts --no-audit --no-fund --loglevel=error "$newer@20.20.2"
    node=$target/newer/node_modules/$newer/bin/node
fi
ln -sfn "$node" "$target/node.bin"

# Prisma's client is generated. The engine of its CLI, which that does not need, would be fetched from elsewhere.
if ! fresh prisma "$orm/prisma/schema.prisma"; then
    rm -rf "$target/node/prisma"
    mkdir "$target/node/prisma"
    cp "$orm/prisma/schema.prisma" "$orm/prisma/prisma.config.mjs" "$target/node/prisma/"
    (
        cd "$target/node/prisma"
        export PRISMA_SCHEMA_ENGINE_BINARY=/bin/true PRISMA_HIDE_UPDATE_MESSAGE=1 CHECKPOINT_DISABLE=1
        "$target/node.bin" ../node_modules/prisma/build/index.js generate >generate.log 2>&1 || { cat generate.log >&2; exit 1; }
        ../node_modules/.bin/esbuild client/client.ts --bundle --platform=node --format=esm --packages=external --outfile=client.mjs --log-level=error
    )
    finished prisma "$orm/prisma/schema.prisma"
fi

if ! fresh java "$drivers/Main.java"; then
    mkdir -p "$target/java"
    javac -cp /usr/share/java/postgresql.jar -d "$target/java" "$drivers/Main.java"
    finished java "$drivers/Main.java"
fi

if ! fresh orm "$orm/jdbc/Shop.java"; then
    mkdir -p "$target/orm"
    javac -cp /usr/share/java/postgresql.jar:/usr/share/java/HikariCP.jar -d "$target/orm" "$orm/jdbc/Shop.java"
    finished orm "$orm/jdbc/Shop.java"
fi

if ! fresh hibernate "$orm/hibernate/App.java"; then
    mkdir -p "$target/hibernate"
    jars=$(sed 's|.*|/usr/share/java/&.jar|' "$orm/hibernate/jars" | paste -sd:)
    javac -XDsuppressNotes -cp "$jars" -d "$target/hibernate" "$orm/hibernate/App.java"
    finished hibernate "$orm/hibernate/App.java"
fi

# Debian's packages of Go sources are unpacked, not installed: they depend on many others, of which nothing is built here.
if ! fresh go "$orm/go.packages"; then
    rm -rf "$target/go"
    mkdir -p "$target/go/packages"
    (
        cd "$target/go/packages"
        fetch() { xargs apt-get download -qq -o APT::Sandbox::User=root <"$orm/go.packages" >/dev/null; }
        fetch 2>/dev/null || { [ "$(id -u)" -ne 0 ] || apt-get update -qq; fetch; }
        for package in *.deb; do dpkg-deb -x "$package" "$target/go"; done
    )
    rm -rf "$target/go/packages"
    finished go "$orm/go.packages"
    rm -f "$target/pgx.done" "$target/gorm.done"
fi
for application in pgx gorm; do
    if ! fresh $application "$orm/$application/main.go"; then
        GO111MODULE=off GOFLAGS='' GOPATH="$target/go/usr/share/gocode" GOCACHE="$target/go/cache" \
            go build -o "$target/go/$application" "$orm/$application/main.go"
        finished $application "$orm/$application/main.go"
    fi
done
rm -rf "$target/go/cache"

cargo build --quiet --locked --manifest-path "$orm/rust/Cargo.toml" --target-dir "$target/rust"
