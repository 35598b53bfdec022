#!/bin/sh
# psql: simple queries, variables, \gdesc (Parse and Describe without Execute), errors, reconnect.
exec psql "$DATABASE_URL" -X -q -A -P null=∅ -f "$(dirname "$0")/psql.sql" 2>&1
