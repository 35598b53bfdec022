// pgx: its own interface over a pool, in each of its ways to send a query, batches, COPY, and database/sql over it.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgconn/stmtcache"
	"github.com/jackc/pgtype"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
	_ "github.com/jackc/pgx/v4/stdlib"
)

var (
	everywhere = context.Background()
	encrypted  = regexp.MustCompile(`seal\.([a-z0-9]+)(_eq|_ord|_match|_search)?`)
)

var migrations = []string{
	`CREATE TABLE customers (id serial PRIMARY KEY, email seal.text_search NOT NULL UNIQUE, name seal.varchar_ord, age seal.int4_ord, balance seal.numeric_ord,
		born seal.date_ord, seen seal.timestamptz_ord, tags seal.text_eq[], settings seal.jsonb, active seal.bool_eq, city text);
	CREATE INDEX customers_name_idx ON customers (name);
	CREATE TABLE orders (id serial PRIMARY KEY, customer_id int NOT NULL REFERENCES customers, item text, card seal.text_eq)`,
	`ALTER TABLE customers ADD COLUMN phone seal.text_search; CREATE UNIQUE INDEX one_phone_a_city ON customers (city, phone)`,
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func got[T any](value T, err error) T {
	must(err)
	return value
}

func shown(value any) any {
	switch value := value.(type) {
	case time.Time:
		return value.UTC().Format(time.RFC3339)
	case pgtype.TextEncoder:
		text, err := value.EncodeText(nil, nil)
		must(err)
		return string(text)
	case map[string]any, []any:
		return string(got(json.Marshal(value)))
	}
	return value
}

func show(label string, values ...any) {
	for i := range values {
		values[i] = shown(values[i])
	}
	fmt.Println(append([]any{label}, values...)...)
}

// Asked is what a pool, a connection and a transaction have in common.
type asked interface {
	Query(context.Context, string, ...any) (pgx.Rows, error)
	Exec(context.Context, string, ...any) (pgconn.CommandTag, error)
}

func table(rows pgx.Rows) [][]any {
	defer rows.Close()
	all := [][]any{}
	for rows.Next() {
		row := got(rows.Values())
		for i := range row {
			row[i] = shown(row[i])
		}
		all = append(all, row)
	}
	must(rows.Err())
	return all
}

func ask(db asked, query string, arguments ...any) [][]any {
	return table(got(db.Query(everywhere, query, arguments...)))
}

func do(db asked, query string, arguments ...any) string {
	return got(db.Exec(everywhere, query, arguments...)).String()
}

func state(err error) string {
	var from *pgconn.PgError
	if errors.As(err, &from) {
		return from.Code + " " + from.ConstraintName
	}
	return fmt.Sprint(err)
}

func failure(db asked, query string, arguments ...any) string {
	_, err := db.Exec(everywhere, query, arguments...)
	return state(err)
}

func day(day int) time.Time {
	return time.Date(1990, 1, day, 0, 0, 0, 0, time.UTC)
}

func migrate(db *pgxpool.Pool) {
	for _, migration := range migrations {
		if os.Getenv("SEALED") == "" {
			migration = encrypted.ReplaceAllString(migration, "$1")
		}
		must(db.BeginFunc(everywhere, func(tx pgx.Tx) error {
			show("migrated", do(tx, migration))
			return nil
		}))
	}
}

func person(i int) []any {
	var balance pgtype.Numeric
	must(balance.Set(fmt.Sprintf("%d.%02d", i/4, i%4*25)))
	return []any{fmt.Sprintf("user%02d@example.com", i), fmt.Sprintf("User %d", i%7), 20 + i, balance, day(i + 1), []string{"Paris", "Rome"}[i%2]}
}

const insert = "INSERT INTO customers (email, name, age, balance, born, city) VALUES ($1, $2, $3, $4, $5, $6)"

func seed(db *pgxpool.Pool) {
	ada := []any{"Ada@example.com", "Ada Lovelace", 36, "12.50", time.Date(1815, 12, 10, 0, 0, 0, 0, time.UTC), day(1), []string{"math", "poet"},
		map[string]any{"theme": []any{"dark", nil, 1.5}}, true, "London", "+44 1"}
	show("created", ask(db, `INSERT INTO customers (email, name, age, balance, born, seen, tags, settings, active, city, phone)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING *`, ada...))
	batch := &pgx.Batch{}
	for i := 0; i < 10; i++ {
		batch.Queue(insert, person(i)...)
	}
	batch.Queue("SELECT count(*), max(age) FROM customers WHERE name = $1", "User 1")
	results := db.SendBatch(everywhere, batch)
	for i := 0; i < 10; i++ {
		show("queued", got(results.Exec()).String())
	}
	show("counted", table(got(results.Query())))
	must(results.Close())
	columns := []string{"email", "name", "age", "balance", "born", "city"}
	show("copied", got(db.CopyFrom(everywhere, pgx.Identifier{"customers"}, columns, pgx.CopyFromSlice(10, func(i int) ([]any, error) { return person(i + 10), nil }))))
	emails, ages := []string{"bulk0@example.com", "bulk1@example.com"}, []int32{0, 1}
	show("unnest", ask(db, "INSERT INTO customers (email, age) SELECT * FROM unnest($1::text[], $2::int[]) RETURNING email, age", emails, ages))
	orders := [][]any{{1, "engine", "4111"}, {2, "loom", "4202"}, {3, "wheel", "4203"}, {3, "belt", nil}}
	show("orders", got(db.CopyFrom(everywhere, pgx.Identifier{"public", "orders"}, []string{"customer_id", "item", "card"}, pgx.CopyFromRows(orders))))
}

func queries(db asked) {
	by := func(label, where string, arguments ...any) {
		show(label, ask(db, "SELECT email FROM customers WHERE "+where+" ORDER BY id", arguments...))
	}
	for i := 0; i < 3; i++ {
		by("equal", "email = $1", "Ada@example.com")
	}
	by("any", "email = ANY($1::text[])", []string{"user01@example.com", "none"})
	by("in", "email IN ($1, $2)", "user01@example.com", "none")
	by("null", "name IS NULL")
	by("between", "age BETWEEN $1 AND $2", 22, 25)
	by("date", "born < $1", day(3))
	by("time", "seen >= $1", day(1))
	by("number", "balance >= $1", 4.5)
	by("bool", "active = $1", true)
	by("like", "email LIKE $1", "user0%")
	by("ilike", "email ILIKE $1", "%USER1%")
	by("joined pattern", "email LIKE '%' || $1 || '%'", "bulk")
	by("lower", "lower(email) = lower($1)", "ADA@example.com")
	by("tags", "$1 = ANY(tags)", "math")
	by("optional", "($1::text IS NULL OR email = $1) AND age < $2", nil, 22)
	by("or", "age = $1 OR name = $2", 36, "User 3")
	for _, offset := range []int{0, 8, 16} {
		show("page", ask(db, "SELECT name, email FROM customers ORDER BY name, id LIMIT $1 OFFSET $2", 8, offset))
	}
	show("next page", ask(db, "SELECT age, id FROM customers WHERE (age, id) > ($1, $2) ORDER BY age, id LIMIT 3", 24, 0))
	show("extremes", ask(db, "SELECT min(age), max(born), sum(balance), count(DISTINCT name) FROM customers"))
	show("groups", ask(db, "SELECT name, count(*) FROM customers GROUP BY name HAVING count(*) > $1 ORDER BY name", 2))
	show("join", ask(db, "SELECT c.*, o.item FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.card = $1", "4203"))
	show("json", ask(db, "SELECT row_to_json(o) FROM (SELECT item, card FROM orders ORDER BY id) o"))
}

func writes(db asked) {
	show("update", do(db, "UPDATE customers SET name = $1, age = $2 WHERE email = $3", "Ada King", 37, "Ada@example.com"))
	upsert := "INSERT INTO customers (email, age) VALUES ($1, $2) ON CONFLICT (email) DO UPDATE SET age = EXCLUDED.age RETURNING email, age"
	show("upsert", ask(db, upsert, "bulk1@example.com", 70))
	show("upsert", ask(db, upsert, "new@example.com", 71))
	show("ignored", do(db, "INSERT INTO customers (email) VALUES ($1) ON CONFLICT DO NOTHING", "new@example.com"))
	show("deleted", do(db, "DELETE FROM customers WHERE email = ANY($1::text[])", []string{"new@example.com", "bulk0@example.com"}))
	show("prepared by SQL", do(db, "UPDATE customers SET phone = NULL WHERE name = 'User 2'"))
}

type customer struct {
	id    int
	email string
	name  *string
	age   *int
	born  *time.Time
	tags  []string
	about map[string]any
}

func scans(db *pgxpool.Pool) {
	rows := got(db.Query(everywhere, "SELECT id, email, name, age, born, tags, settings FROM customers WHERE id < 3 ORDER BY id"))
	for rows.Next() {
		var c customer
		must(rows.Scan(&c.id, &c.email, &c.name, &c.age, &c.born, &c.tags, &c.about))
		show("scanned", c.id, c.email, *c.name, *c.age, *c.born, fmt.Sprint(c.tags), c.about)
	}
	fields := []string{}
	for _, field := range rows.FieldDescriptions() {
		fields = append(fields, fmt.Sprint(string(field.Name), field.DataTypeOID, field.DataTypeSize, field.TypeModifier, field.TableAttributeNumber, field.Format))
	}
	show("fields", strings.Join(fields, ", "))
	var out strings.Builder
	connection := got(db.Acquire(everywhere))
	defer connection.Release()
	tag := got(connection.Conn().PgConn().CopyTo(everywhere, &out, "COPY (SELECT email, age, tags FROM customers ORDER BY id LIMIT 3) TO STDOUT (FORMAT csv)"))
	show("copied out", tag.String(), out.String())
	statement := got(connection.Conn().Prepare(everywhere, "found", "SELECT age, born FROM customers WHERE email = $1 AND balance > $2"))
	show("prepared", statement.ParamOIDs, len(statement.Fields), ask(connection, "found", "user07@example.com", "1.5"))
	must(connection.Conn().Deallocate(everywhere, "found"))
	several := connection.Conn().PgConn().Exec(everywhere, "SELECT email FROM customers WHERE age = 21; SELECT count(*) FROM customers WHERE name = 'User 1'")
	for _, result := range got(several.ReadAll()) {
		show("several", result.CommandTag.String(), fmt.Sprintf("%s", result.Rows))
	}
}

func failures(db *pgxpool.Pool) {
	again := "INSERT INTO customers (email) VALUES ($1)"
	must(db.BeginFunc(everywhere, func(tx pgx.Tx) error {
		do(tx, again, "kept@example.com")
		show("inner", state(tx.BeginFunc(everywhere, func(inner pgx.Tx) error {
			show("duplicate", failure(inner, again, "Ada@example.com"))
			show("failed", failure(inner, "SELECT 1"))
			return errors.New("taken back")
		})))
		return nil
	}))
	show("taken back", db.BeginTxFunc(everywhere, pgx.TxOptions{IsoLevel: pgx.Serializable}, func(tx pgx.Tx) error {
		do(tx, again, "lost@example.com")
		return errors.New("on purpose")
	}))
	show("null", failure(db, again, nil))
	show("bad value", failure(db, "SELECT id FROM customers WHERE age = 'old'"))
	show("kept", ask(db, "SELECT email FROM customers WHERE email IN ($1, $2)", "kept@example.com", "lost@example.com"))
	batch := &pgx.Batch{}
	batch.Queue(again, "batch@example.com")
	batch.Queue(again, "Ada@example.com")
	show("batch", state(db.SendBatch(everywhere, batch).Close()))
	_, err := db.CopyFrom(everywhere, pgx.Identifier{"customers"}, []string{"email"}, pgx.CopyFromRows([][]any{{"copy@example.com"}, {"Ada@example.com"}}))
	show("copy", state(err))
	show("left", ask(db, "SELECT count(*) FROM customers WHERE email = ANY($1::text[])", []string{"batch@example.com", "copy@example.com"}))
}

func overDatabaseSQL() {
	db := got(sql.Open("pgx", os.Getenv("DATABASE_URL")))
	defer db.Close()
	find := got(db.Prepare("SELECT id, name, age, balance, born, active FROM customers WHERE email = $1"))
	for _, email := range []string{"Ada@example.com", "user03@example.com", "nobody"} {
		var (
			id      int
			name    sql.NullString
			age     sql.NullInt64
			balance sql.NullFloat64
			born    sql.NullTime
			active  sql.NullBool
		)
		err := find.QueryRow(email).Scan(&id, &name, &age, &balance, &born, &active)
		show("found", fmt.Sprint(id, name, age, balance, born.Time.UTC(), active), err)
	}
	rows := got(db.Query("SELECT * FROM customers LIMIT 0"))
	for _, column := range got(rows.ColumnTypes()) {
		length, sized := column.Length()
		show("column", column.Name(), column.DatabaseTypeName(), column.ScanType(), length, sized)
	}
	must(rows.Close())
	tx := got(db.Begin())
	got(tx.Exec("UPDATE customers SET age = $1 WHERE email = $2", 99, "user03@example.com"))
	must(tx.Rollback())
	result := got(db.Exec("UPDATE customers SET city = 'Oslo' WHERE age = $1", 99))
	show("affected", got(result.RowsAffected()))
}

func reflection() {
	db := got(pgxpool.Connect(everywhere, os.Getenv("DATABASE_URL")+"?options=-c%20columnseal.introspection%3Dplain"))
	defer db.Close()
	for _, table := range []string{"customers", "orders"} {
		show(table, ask(db, `SELECT column_name::text, data_type::text, is_nullable::text FROM information_schema.columns
			WHERE table_schema = 'public' AND table_name = $1 ORDER BY ordinal_position`, table))
	}
}

func pool(change func(*pgxpool.Config)) *pgxpool.Pool {
	config := got(pgxpool.ParseConfig(os.Getenv("DATABASE_URL")))
	config.MaxConns = 2
	change(config)
	return got(pgxpool.ConnectConfig(everywhere, config))
}

func main() {
	db := pool(func(*pgxpool.Config) {})
	defer db.Close()
	migrate(db)
	seed(db)
	queries(db)
	writes(db)
	scans(db)
	failures(db)
	ways := map[string]func(*pgxpool.Config){
		"described": func(config *pgxpool.Config) {
			config.ConnConfig.BuildStatementCache = func(conn *pgconn.PgConn) stmtcache.Cache { return stmtcache.New(conn, stmtcache.ModeDescribe, 100) }
		},
		"without cache": func(config *pgxpool.Config) { config.ConnConfig.BuildStatementCache = nil },
		"simple":        func(config *pgxpool.Config) { config.ConnConfig.PreferSimpleProtocol = true },
	}
	for _, way := range []string{"described", "without cache", "simple"} {
		show(way)
		other := pool(ways[way])
		tx := got(other.Begin(everywhere))
		queries(tx)
		writes(tx)
		must(tx.Rollback(everywhere))
		other.Close()
	}
	overDatabaseSQL()
	reflection()
	fmt.Println("done")
}
