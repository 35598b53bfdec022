#!/usr/bin/env bash
# PostgreSQL's own regression scripts, directly and through the proxy, on plain tables: what psql shows must be the same.
#   scripts/regress.sh CHECKOUT [SCRIPT...]
# CHECKOUT holds PostgreSQL's src/test/regress of the installed major version; SCRIPTs: only these, after test_setup.
# COLUMNSEAL_BIN: the binary. REGRESS_OUT: where outputs and diffs go (default: a new directory under /tmp, which is kept).
#
# The database has the schema seal and an encrypted table, so that every statement is judged. All runs begin with a copy of
# one data directory and use the same port, so that nothing but the proxy differs. Scripts whose outputs differ
# between two direct runs are told apart. Ends with 1 if a script differs that scripts/regress.known does not name.
set -euo pipefail
cd "$(dirname "$0")/.."
suite=$(realpath "${1:?usage: scripts/regress.sh CHECKOUT [SCRIPT...]}")
shift
[ -d "$suite/src/test/regress/sql" ] && suite=$suite/src/test/regress
[ -d "$suite/sql" ] && [ -d "$suite/data" ] || { echo "$suite has no sql/ and data/ of PostgreSQL's regression tests" >&2; exit 2; }
known=$PWD/scripts/regress.known
out=${REGRESS_OUT:-$(mktemp -d /tmp/columnseal-regress.XXXXXX)}
mkdir -p "$out"
. scripts/cluster.sh
mkdir "$dir/build"
direct_sql() { psql -qXAt -v ON_ERROR_STOP=1 "postgres://postgres@127.0.0.1:$behind/regression" "$@"; }

# As pg_regress makes it, with a role of a fixed name and without autovacuum, which would change plans at any time.
as_server "$pg_bin/initdb" -A trust -U postgres --no-locale -N -D "$dir/pg/template" >/dev/null
as_server tee -a "$dir/pg/template/postgresql.conf" >/dev/null <<'CONF'
max_prepared_transactions = 2
autovacuum = off
fsync = off
log_statement = all
CONF
start "$dir/pg/template" "$behind"
psql -qX "postgres://postgres@127.0.0.1:$behind/postgres" -c 'CREATE DATABASE regression TEMPLATE template0'
for set in "lc_messages = 'C'" "lc_monetary = 'C'" "lc_numeric = 'C'" "lc_time = 'C'" "bytea_output = 'hex'" "timezone_abbreviations = 'Default'"; do
  direct_sql -c "ALTER DATABASE regression SET $set"
done
seal_database regression
stop

mapfile -t schedule < <(sed -n 's/^test: *//p' "$suite/parallel_schedule" | tr ' ' '\n' | grep .)
[ $# = 0 ] || schedule=(test_setup "$@")

run() { # NAME
  mkdir -p "$out/$1"
  rm -rf "$dir/build"/* && mkdir "$dir/build/results" && chmod 777 "$dir/build" "$dir/build/results"
  for script in "${schedule[@]}"; do
    [ -f "$suite/sql/$script.sql" ] || continue
    # Environment and options of pg_regress.
    (cd "$dir/build" && env -u CS_CLIENT_ID -u CS_CLIENT_KEY PGHOST=127.0.0.1 PGPORT="$port" PGUSER=postgres PGTZ=PST8PDT PGDATESTYLE='Postgres, MDY' \
      PGOPTIONS='-c intervalstyle=postgres_verbose' PGAPPNAME="pg_regress/$script" LC_ALL=C \
      PG_ABS_SRCDIR="$suite" PG_ABS_BUILDDIR="$dir/build" PG_LIBDIR="$("$pg_bin/pg_config" --pkglibdir)" PG_DLSUFFIX=.so \
      timeout 600 psql -X -a -q -d regression -v HIDE_TABLEAM=on -v HIDE_TOAST_COMPRESSION=on \
      <"$suite/sql/$script.sql" >"$out/$1/$script.out" 2>&1) || true
  done
}

# Functions of the scripts that run dynamic SQL, on plain tables alone: as the setting asks of an installation that has such.
trusted=$(sed 's/[^ ]*/public.&/g; s/ /,/g' <<<"check_ddl_rewrite check_estimated_rows compare_relfilenode_part create_relfilenode_part exc_using \
execute_into_test execute_text_query_heap execute_text_query_index explain_analyze_inc_sort_nodes explain_analyze_inc_sort_nodes_verify_invariants \
explain_analyze_inc_sort_nodes_without_memory explain_analyze_without_memory explain_filter explain_filter_to_json explain_memoize explain_merge \
explain_parallel_append explain_query_json hash_join_batches mvtest_drop_the_index predicate_stable return_dquery returnqueryf rttest sc_test stricttest \
test_evtrig_dropped_objects")

for name in direct again proxy; do
  as_server cp -a "$dir/pg/template" "$dir/pg/$name"
  if [ $name = proxy ]; then
    start "$dir/pg/$name" "$behind"
    start_proxy regression "$out/proxy.log" CS_POLICY__TRUSTED_FUNCTIONS="$trusted"
  else
    start "$dir/pg/$name" "$port"
  fi
  SECONDS=0
  run $name
  printf '%s: %d scripts in %d s\n' "$name" "${#schedule[@]}" "$SECONDS"
  stop
  as_server cp "$dir/pg/$name.log" "$dir/pg/$name.server.log" && cat "$dir/pg/$name.server.log" >"$out/$name.server.log"
  as_server rm -rf "$dir/pg/$name"
done

same=0 unsteady=() listed=() different=()
mkdir -p "$out/diff"
for script in "${schedule[@]}"; do
  [ -f "$out/direct/$script.out" ] || continue
  if diff -u "$out/direct/$script.out" "$out/proxy/$script.out" >"$out/diff/$script.diff"; then
    same=$((same + 1)); rm "$out/diff/$script.diff"
  elif ! cmp -s "$out/direct/$script.out" "$out/again/$script.out"; then
    diff -u "$out/direct/$script.out" "$out/again/$script.out" >"$out/diff/$script.again" || true
    unsteady+=("$script")
  elif grep -q "^$script " "$known"; then
    listed+=("$script")
  else
    different+=("$script")
  fi
done
printf '%d the same\n' "$same"
printf '%d not the same in two direct runs either: %s\n' "${#unsteady[@]}" "${unsteady[*]}"
printf '%d differ as scripts/regress.known says: %s\n' "${#listed[@]}" "${listed[*]}"
printf '%d differ: %s\n' "${#different[@]}" "${different[*]}"
echo "Outputs and diffs: $out"
[ "${#different[@]}" = 0 ] && [ "$same" -gt 0 ]
