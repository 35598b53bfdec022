//! sqlx: pool, migrations that can be taken back, query builder, streams, COPY, nested transactions, the simple protocol.

use std::str::FromStr;

use bigdecimal::BigDecimal;
use chrono::NaiveDate;
use futures_util::{StreamExt, TryStreamExt};
use mappers::{migrations, plain_url, show, url};
use serde_json::{Value, json};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::types::Json;
use sqlx::{Column, Connection, Either, Executor, FromRow, QueryBuilder, Row, SqlStr, TypeInfo};

type Done = Result<(), Box<dyn std::error::Error>>;

#[derive(Debug, FromRow)]
#[allow(dead_code)]
struct Customer {
    id: i32,
    email: Email,
    name: Option<String>,
    age: Option<i32>,
    balance: Option<BigDecimal>,
    born: Option<NaiveDate>,
    tags: Option<Vec<String>>,
    settings: Option<Json<Value>>,
    active: Option<bool>,
    city: Option<String>,
    phone: Option<String>,
}

#[derive(Debug, PartialEq, sqlx::Type)]
#[sqlx(transparent)]
struct Email(String);

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(1990, 1, day).expect("a day of January")
}

fn decimal(text: &str) -> BigDecimal {
    BigDecimal::from_str(text).expect("a number")
}

fn state<T>(result: Result<T, sqlx::Error>) -> String {
    match result {
        Ok(_) => "no error".into(),
        Err(sqlx::Error::Database(error)) => {
            format!("{:?} {:?} {:?}", error.kind(), error.code(), error.constraint())
        }
        Err(error) => format!("{error:?}"),
    }
}

async fn migrate(pool: &PgPool) -> Done {
    let folder = migrations("sqlx");
    let migrator = Migrator::new(folder.path()).await?;
    migrator.run(pool).await?;
    migrator.undo(pool, 0).await?;
    migrator.run(pool).await?;
    show(
        "migrated",
        sqlx::query_scalar::<_, i64>("SELECT version FROM _sqlx_migrations WHERE success ORDER BY 1")
            .fetch_all(pool)
            .await?,
    );
    Ok(())
}

async fn seed(pool: &PgPool) -> Done {
    let insert = "INSERT INTO customers (email, name, age, balance, born, tags, settings, active, city, phone)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING *";
    let ada: Customer = sqlx::query_as(insert)
        .bind(Email("Ada@example.com".into()))
        .bind("Ada O'Lovelace")
        .bind(36)
        .bind(decimal("12.50"))
        .bind(NaiveDate::from_ymd_opt(1815, 12, 10))
        .bind(vec!["math", "poet"])
        .bind(Json(json!({"theme": ["dark", null, 1.5]})))
        .bind(true)
        .bind("London")
        .bind("+44 1")
        .fetch_one(pool)
        .await?;
    show("created", &ada);
    let mut builder = QueryBuilder::new("INSERT INTO customers (email, name, age, balance, born, city) ");
    builder.push_values(0..20, |mut row, i: i32| {
        row.push_bind(format!("user{i:02}@example.com"))
            .push_bind(format!("User {}", i % 7))
            .push_bind(20 + i)
            .push_bind(BigDecimal::from(i) / 4)
            .push_bind(day(i as u32 + 1))
            .push_bind(if i % 2 == 0 { "Paris" } else { "Rome" });
    });
    show("many", builder.build().execute(pool).await?.rows_affected());
    let emails: Vec<String> = (0..5).map(|i| format!("bulk{i}@example.com")).collect();
    let ages = [Some(0), Some(1), None, Some(3), Some(4)];
    let unnest = "INSERT INTO customers (email, age) SELECT * FROM UNNEST($1::text[], $2::int4[]) RETURNING email";
    show("unnest", sqlx::query_scalar::<_, String>(unnest).bind(&emails).bind(&ages[..]).fetch_all(pool).await?);
    let mut connection = pool.acquire().await?;
    let mut copy = connection.copy_in_raw("COPY orders (customer_id, item, card) FROM STDIN (FORMAT csv)").await?;
    for i in 1..6 {
        copy.send(format!("{i},item {i},420{i}\n").as_bytes()).await?;
    }
    show("copied", copy.finish().await?);
    Ok(())
}

async fn queries(pool: &PgPool) -> Done {
    macro_rules! by {
        ($label:literal, $where:literal $(, $value:expr)*) => {
            let sql = concat!("SELECT email FROM customers WHERE ", $where, " ORDER BY id");
            show($label, sqlx::query_scalar::<_, String>(sql)$(.bind($value))*.fetch_all(pool).await?);
        };
    }
    for _ in 0..3 {
        by!("equal", "email = $1", "Ada@example.com");
    }
    by!("own type", "email = $1", Email("Ada@example.com".into()));
    by!("any", "email = ANY($1)", vec!["user01@example.com", "none"]);
    by!("all", "email <> ALL($1) AND age > 36", &["user19@example.com".to_owned()][..]);
    by!("null", "name IS NULL");
    by!("optional", "($1::text IS NULL OR email = $1) AND age < $2", None::<&str>, 22);
    by!("optional", "($1::text IS NULL OR email = $1)", Some("user04@example.com"));
    by!("between", "age BETWEEN $1 AND $2", 22, 25);
    by!("date", "born < $1", day(3));
    by!("number", "balance >= $1", decimal("4.5"));
    by!("bool", "active = $1", true);
    by!("like", "email LIKE $1", "user0%");
    by!("like", "email LIKE '%' || $1 || '%'", "bulk");
    by!("ilike", "email ILIKE $1", "%USER1%");
    by!("lower", "lower(email) = lower($1)", "ADA@example.com");
    by!("tags", "tags @> $1", vec!["math"]);
    by!("tag", "$1 = ANY(tags)", "poet");
    let page = "SELECT name, email FROM customers ORDER BY name NULLS LAST, id LIMIT $1 OFFSET $2";
    for offset in [0i64, 8, 16] {
        show(
            "page",
            sqlx::query_as::<_, (Option<String>, String)>(page).bind(8i64).bind(offset).fetch_all(pool).await?,
        );
    }
    let next = "SELECT age, id FROM customers WHERE (age, id) > ($1, $2) ORDER BY age, id LIMIT 3";
    show("next page", sqlx::query_as::<_, (i32, i32)>(next).bind(24).bind(0).fetch_all(pool).await?);
    let extremes = "SELECT min(age), max(born), sum(balance), avg(age), count(*), count(DISTINCT name) FROM customers";
    type Extremes = (Option<i32>, Option<NaiveDate>, Option<BigDecimal>, Option<BigDecimal>, i64, i64);
    show("extremes", sqlx::query_as::<_, Extremes>(extremes).fetch_one(pool).await?);
    let groups = "SELECT name, count(*) FROM customers GROUP BY name HAVING count(*) > 2 ORDER BY name";
    show("groups", sqlx::query_as::<_, (Option<String>, i64)>(groups).fetch_all(pool).await?);
    let joined = "SELECT c.*, o.item FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.card = $1";
    let joined = sqlx::query(joined).bind("4203").fetch_one(pool).await?;
    show("joined", (Customer::from_row(&joined)?, joined.try_get::<String, _>("item")?));
    let mut ages = sqlx::query_scalar::<_, i32>("SELECT age FROM customers WHERE age < 23 ORDER BY age").fetch(pool);
    while let Some(age) = ages.try_next().await? {
        show("streamed", age);
    }
    drop(ages);
    let unnamed = sqlx::query_scalar::<_, i32>("SELECT customer_id FROM orders WHERE card = $1").persistent(false);
    show("unnamed", unnamed.bind("4201").fetch_all(pool).await?);
    Ok(())
}

async fn writes(pool: &PgPool) -> Done {
    let update = sqlx::query("UPDATE customers SET name = $1, age = $2 WHERE email = $3").bind("Ada King").bind(37);
    show("updated", update.bind("Ada@example.com").execute(pool).await?.rows_affected());
    let by_array = "UPDATE customers SET phone = new.phone FROM UNNEST($1::text[], $2::text[]) AS new (email, phone)
        WHERE customers.email = new.email RETURNING customers.email, customers.phone";
    let by_array = sqlx::query_as::<_, (String, String)>(by_array).bind(vec!["bulk0@example.com", "bulk1@example.com"]);
    show("by array", sorted(by_array.bind(vec!["+47 0", "+47 1"]).fetch_all(pool).await?));
    let mut upsert = QueryBuilder::new("INSERT INTO customers (email, age) ");
    upsert.push_values([("bulk1@example.com", 70), ("new@example.com", 71)], |mut row, (email, age)| {
        row.push_bind(email).push_bind(age);
    });
    upsert.push(" ON CONFLICT (email) DO UPDATE SET age = EXCLUDED.age RETURNING email, age");
    show("upsert", sorted(upsert.build_query_as::<(String, i32)>().fetch_all(pool).await?));
    let ignored = "INSERT INTO customers (email) VALUES ($1) ON CONFLICT ON CONSTRAINT customers_email_key DO NOTHING";
    show("ignored", sqlx::query(ignored).bind("new@example.com").execute(pool).await?.rows_affected());
    let deleted = sqlx::query_scalar::<_, i32>("DELETE FROM customers WHERE email = ANY($1) RETURNING age");
    show("deleted", deleted.bind(vec!["bulk4@example.com", "user19@example.com"]).fetch_all(pool).await?.len());
    Ok(())
}

fn sorted<T: Ord>(mut rows: Vec<T>) -> Vec<T> {
    rows.sort();
    rows
}

const INSERT: &str = "INSERT INTO customers (email) VALUES ($1)";

async fn failures(pool: &PgPool) -> Done {
    let mut outer = pool.begin().await?;
    sqlx::query(INSERT).bind("kept@example.com").execute(&mut *outer).await?;
    let mut inner = outer.begin().await?;
    show("duplicate", state(sqlx::query(INSERT).bind("Ada@example.com").execute(&mut *inner).await));
    show("failed", state(sqlx::query("SELECT 1").execute(&mut *inner).await));
    inner.rollback().await?;
    outer.commit().await?;
    let mut dropped = pool.begin().await?;
    sqlx::query(INSERT).bind("lost@example.com").execute(&mut *dropped).await?;
    drop(dropped);
    show("null", state(sqlx::query(INSERT).bind(None::<String>).execute(pool).await));
    show("bad value", state(sqlx::query("SELECT id FROM customers WHERE age = 'old'").execute(pool).await));
    let serializable = pool.begin_with("BEGIN ISOLATION LEVEL SERIALIZABLE").await;
    let mut serializable = serializable?;
    let locked = sqlx::query_scalar::<_, i32>("SELECT age FROM customers WHERE email = $1 FOR UPDATE");
    show("locked", locked.bind("Ada@example.com").fetch_one(&mut *serializable).await?);
    serializable.commit().await?;
    let left = sqlx::query_scalar::<_, String>("SELECT email FROM customers WHERE email = ANY($1)");
    show("kept", left.bind(vec!["kept@example.com", "lost@example.com"]).fetch_all(pool).await?);
    Ok(())
}

/// What `sqlx::raw_sql` runs goes by the simple protocol, and comes as text.
async fn simple(pool: &PgPool) -> Done {
    let text = |row: PgRow| row.try_get_unchecked::<String, _>(0);
    let several =
        "UPDATE customers SET city = 'x' WHERE false; SELECT name FROM customers WHERE email = 'Ada@example.com'";
    let mut results = sqlx::raw_sql(several).fetch_many(pool);
    while let Some(result) = results.next().await {
        match result? {
            Either::Left(done) => show("affected", done.rows_affected()),
            Either::Right(row) => show("row", text(row)?),
        }
    }
    Ok(())
}

/// Statements as `query!`, `query_as!` and `query_scalar!` are given them.
const MACROS: [&str; 27] = [
    "SELECT id, email, balance, born, tags, settings FROM customers WHERE email = $1",
    "SELECT * FROM customers",
    "SELECT c.* FROM customers c WHERE age > $1 AND (name = $2 OR $3 = ANY(tags))",
    "SELECT email FROM customers WHERE email = ANY($1) OR age = ANY($2) ORDER BY age",
    "SELECT email AS \"address!\", balance AS \"owed: BigDecimal\" FROM customers WHERE email LIKE $1",
    "SELECT count(*), min(age), sum(balance), max(name) FROM customers WHERE active = $1",
    "SELECT c.email, o.id, o.card, o.item, n.body FROM customers c LEFT JOIN orders o ON o.customer_id = c.id
        LEFT JOIN notes n ON n.customer_id = c.id",
    "SELECT c.email, n.body FROM customers c LEFT JOIN notes n ON n.customer_id = c.id",
    "SELECT c.email, n.body, o.card FROM customers c LEFT JOIN notes n ON n.customer_id = c.id
        LEFT JOIN orders o ON o.customer_id = c.id AND o.card = $2 WHERE c.email = $1",
    "SELECT c.email, n.body FROM notes n RIGHT JOIN customers c ON n.customer_id = c.id",
    "SELECT c.email, n.body FROM customers c FULL JOIN notes n ON n.customer_id = c.id",
    "SELECT c.email, n.body FROM customers c JOIN notes n ON n.customer_id = c.id WHERE c.email = $1",
    "SELECT c.*, n.* FROM customers c LEFT JOIN notes n ON n.customer_id = c.id",
    "SELECT a.email, b.email AS other FROM customers a LEFT JOIN customers b ON a.email = b.email",
    "SELECT lower(email), age + 1 AS next FROM customers",
    "SELECT email FROM (SELECT email, age FROM customers WHERE age < $1) AS young",
    "WITH known AS (SELECT email FROM customers WHERE name = $1) SELECT email FROM known",
    "SELECT email, name FROM customers ORDER BY name, id LIMIT $1 OFFSET $2",
    "SELECT DISTINCT email FROM customers",
    "SELECT email FROM customers WHERE age < $1 UNION ALL SELECT phone FROM customers",
    "INSERT INTO customers (email, age, balance, tags, settings, city) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id, email, age",
    "INSERT INTO customers (email) VALUES ($1) ON CONFLICT (email) DO UPDATE SET age = $2 RETURNING *",
    "INSERT INTO customers (email, age) SELECT * FROM UNNEST($1::text[], $2::int4[]) RETURNING email",
    "INSERT INTO orders (customer_id, item, card) VALUES ($1, $2, $3)",
    "UPDATE customers SET name = $1, age = $2 WHERE email = $3 RETURNING name",
    "DELETE FROM customers WHERE email = $1",
    "SELECT 1 + $1 AS plain, 'x' AS word",
];

/// What `query!` and its kin ask when they compile.
async fn described(pool: &PgPool) -> Done {
    let mut connection = pool.acquire().await?;
    // As they do, since what may be NULL is read off the plan; and so that it is the same plan for both.
    let generic = "DO $$ BEGIN IF EXISTS (SELECT 1 FROM pg_settings WHERE name = 'plan_cache_mode') THEN
        SET SESSION plan_cache_mode = 'force_generic_plan'; END IF; END $$; SET enable_hashjoin = off; SET enable_mergejoin = off";
    connection.execute(generic).await?;
    for sql in MACROS {
        let told = connection.describe(SqlStr::from_static(sql)).await?;
        let column = |(i, c): (usize, &<sqlx::Postgres as sqlx::Database>::Column)| {
            (c.name().to_owned(), c.type_info().name().to_owned(), told.nullable(i))
        };
        let columns: Vec<_> = told.columns().iter().enumerate().map(column).collect();
        show(sql, (told.parameters(), columns));
    }
    let failed = [
        "SELECT nothing FROM customers WHERE email = $1",
        "SELECT email FROM customers WHERE email = 'Ada@example.com' AND age = 'old'",
    ];
    for sql in failed {
        show(sql, state(connection.describe(SqlStr::from_static(sql)).await));
    }
    Ok(())
}

async fn reflection() -> Done {
    let pool = PgPool::connect_with(PgConnectOptions::from_str(&plain_url())?).await?;
    let columns =
        "SELECT column_name::text, data_type::text, udt_name::text, is_nullable::text FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name = $1 ORDER BY ordinal_position";
    for table in ["customers", "orders", "notes"] {
        show(table, sqlx::query_as::<_, (String, String, String, String)>(columns).bind(table).fetch_all(&pool).await?);
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Done {
    let pool = PgPoolOptions::new().max_connections(2).connect(&url()).await?;
    migrate(&pool).await?;
    seed(&pool).await?;
    queries(&pool).await?;
    writes(&pool).await?;
    failures(&pool).await?;
    simple(&pool).await?;
    described(&pool).await?;
    reflection().await?;
    println!("done");
    Ok(())
}
