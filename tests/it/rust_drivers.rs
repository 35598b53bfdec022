//! tokio-postgres and sqlx: the same program on the plain twin and through the proxy.

use std::fmt::Write;

use rust_decimal::Decimal;
use sqlx::{Connection, Executor, Row};
use tokio_postgres::types::{ToSql, Type};

use crate::drivers::{PEOPLE, same_lines};
use crate::support::Twin;
use crate::support::cluster::connect;

const INSERT: &str = "INSERT INTO people (id, email, name, age, big, small, ok, price, ratio, uid, blob)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id, email, age";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokio_postgres() {
    let twin = Twin::start();
    twin.create(PEOPLE);
    let direct = with_tokio_postgres(&twin.plain.url).await.unwrap();
    assert!(direct.contains("reconnected"));
    let through = with_tokio_postgres(&twin.sealed.url).await;
    let through = through.unwrap_or_else(|e| panic!("{e:?}\nproxy log:\n{}", twin.proxy.log()));
    same_lines(&direct, &through, &|| twin.proxy.log());
}

fn code<T>(result: Result<T, tokio_postgres::Error>) -> String {
    match result {
        Ok(_) => "no error".into(),
        Err(e) => e.code().map_or_else(|| format!("{e:?}"), |c| c.code().to_owned()),
    }
}

async fn with_tokio_postgres(url: &str) -> Result<String, tokio_postgres::Error> {
    let mut out = String::new();
    let mut client = connect(url).await?;
    let insert = client.prepare(INSERT).await?;
    let column =
        |c: &tokio_postgres::Column| (c.name().to_owned(), c.type_().clone(), c.column_id(), c.type_modifier());
    let columns: Vec<_> = insert.columns().iter().map(column).collect();
    writeln!(out, "insert {:?} {columns:?}", insert.params()).unwrap();
    for id in 1..=9i32 {
        let odd = id % 2 == 1;
        let email = format!("m{id}@example.com");
        let (price, uid) = (Decimal::new(i64::from(id) * 125, 2), uuid::Uuid::from_u128(id as u128));
        let row = client
            .query_one(
                &insert,
                &[
                    &id,
                    &email,
                    &odd.then_some("O'Brien \\ ü"),
                    &(id % 3),
                    &i64::from(id),
                    &-7i16,
                    &odd,
                    &price,
                    &0.1f64,
                    &uid,
                    &[0u8, 255].as_slice(),
                ],
            )
            .await?;
        writeln!(out, "inserted {} {:?}", row.get::<_, i32>(0), row.get::<_, Option<&str>>(1)).unwrap();
    }
    tokio_selects(&client, &mut out).await?;
    tokio_transactions(&mut client, &mut out).await?;
    // Pipelined: all are sent before the first is answered.
    let find = client.prepare("SELECT id FROM people WHERE email = $1").await?;
    let mails: Vec<String> = (1..=9).map(|id| format!("m{id}@example.com")).collect();
    let params: [[&(dyn tokio_postgres::types::ToSql + Sync); 1]; 3] = [[&mails[0]], [&mails[1]], [&mails[2]]];
    let (a, b, c) =
        tokio::join!(client.query(&find, &params[0]), client.query(&find, &params[1]), client.query(&find, &params[2]));
    writeln!(out, "pipelined {} {} {}", a?.len(), b?.len(), c?.len()).unwrap();
    drop(client);
    let client = connect(url).await?;
    let row = client.query_one("SELECT id FROM people WHERE email = $1", &[&"m3@example.com"]).await?;
    writeln!(out, "reconnected {}", row.get::<_, i32>(0)).unwrap();
    let typed = client.prepare_typed("DELETE FROM people WHERE email = $1", &[Type::VARCHAR]).await?;
    writeln!(out, "deleted {} {:?}", client.execute(&typed, &[&"m3@example.com"]).await?, typed.params()).unwrap();
    Ok(out)
}

async fn tokio_selects(client: &tokio_postgres::Client, out: &mut String) -> Result<(), tokio_postgres::Error> {
    let all = "SELECT id, email, name, age, big, small, ok, price, ratio, uid, blob, born FROM people ORDER BY id";
    for row in client.query(all, &[]).await? {
        let line = (
            row.get::<_, Option<&str>>(1),
            row.get::<_, Option<&str>>(2),
            row.get::<_, Option<i32>>(3),
            row.get::<_, Option<i64>>(4),
            row.get::<_, Option<i16>>(5),
            row.get::<_, Option<bool>>(6),
            row.get::<_, Option<Decimal>>(7),
            row.get::<_, Option<f64>>(8),
            row.get::<_, Option<uuid::Uuid>>(9),
            row.get::<_, Option<&[u8]>>(10),
        );
        writeln!(out, "row {line:?}").unwrap();
    }
    let operands: Vec<(&str, Box<dyn ToSql + Sync + Send>)> = vec![
        ("email", Box::new("m2@example.com")),
        ("age", Box::new(2i32)),
        ("age", Box::new(None::<i32>)),
        ("big", Box::new(4i64)),
        ("ok", Box::new(true)),
        ("price", Box::new(Decimal::new(25, 1))),
        ("ratio", Box::new(0.1f64)),
        ("uid", Box::new(uuid::Uuid::from_u128(5))),
        ("blob", Box::new(vec![0u8, 255])),
    ];
    for (column, value) in &operands {
        let statement = client.prepare(&format!("SELECT id FROM people WHERE {column} = $1 ORDER BY id")).await?;
        let rows = client.query(&statement, &[value.as_ref()]).await?;
        let ids: Vec<i32> = rows.iter().map(|r| r.get(0)).collect();
        writeln!(out, "by {column} {:?} {ids:?}", statement.params()).unwrap();
    }
    let mails = vec!["m1@example.com", "m7@example.com", "nobody"];
    let any = client.query("SELECT id FROM people WHERE email = ANY($1) ORDER BY id", &[&mails]).await?;
    writeln!(out, "any {:?}", any.iter().map(|r| r.get::<_, i32>(0)).collect::<Vec<_>>()).unwrap();
    for message in client.simple_query("SELECT id, email FROM people WHERE age = 1 ORDER BY id; SELECT 1").await? {
        writeln!(out, "simple {message:?}").unwrap();
    }
    Ok(())
}

async fn tokio_transactions(
    client: &mut tokio_postgres::Client,
    out: &mut String,
) -> Result<(), tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    transaction.execute("UPDATE people SET email = $1 WHERE id = 1", &[&"changed@example.com"]).await?;
    let statement = transaction.prepare("SELECT id, email FROM people WHERE big <> $1 ORDER BY id").await?;
    let portal = transaction.bind(&statement, &[&3i64]).await?;
    for limit in [2, 3, 0] {
        let rows = transaction.query_portal(&portal, limit).await?;
        writeln!(out, "portal {:?}", rows.iter().map(|r| r.get::<_, Option<&str>>(1)).collect::<Vec<_>>()).unwrap();
    }
    let duplicate = transaction.execute("INSERT INTO people (id, email) VALUES (99, $1)", &[&"m2@example.com"]).await;
    writeln!(out, "duplicate {}", code(duplicate)).unwrap();
    writeln!(out, "failed {}", code(transaction.query("SELECT 1", &[]).await)).unwrap();
    transaction.rollback().await?;
    let row = client.query_one("SELECT email FROM people WHERE id = 1", &[]).await?;
    writeln!(out, "rolled back {:?}", row.get::<_, Option<&str>>(0)).unwrap();
    let bad = client.simple_query("SELECT id FROM people WHERE age = 'no number'").await;
    writeln!(out, "bad value {}", code(bad)).unwrap();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlx() {
    let twin = Twin::start();
    twin.create(PEOPLE);
    let direct = with_sqlx(&twin.plain.url).await.unwrap();
    assert!(direct.contains("reconnected"));
    let through = with_sqlx(&twin.sealed.url).await;
    let through = through.unwrap_or_else(|e| panic!("{e:?}\nproxy log:\n{}", twin.proxy.log()));
    same_lines(&direct, &through, &|| twin.proxy.log());
}

fn sqlx_code<T>(result: Result<T, sqlx::Error>) -> String {
    match result {
        Ok(_) => "no error".into(),
        Err(e) => e.as_database_error().and_then(|d| d.code()).map_or_else(|| format!("{e:?}"), |c| c.into_owned()),
    }
}

async fn with_sqlx(url: &str) -> Result<String, sqlx::Error> {
    let mut out = String::new();
    let mut conn = sqlx::PgConnection::connect(url).await?;
    for id in 1..=9i32 {
        let row = sqlx::query(
            "INSERT INTO people (id, email, name, age, big, ok) VALUES ($1, $2, $3, $4, $5, $6) RETURNING email, age",
        )
        .bind(id)
        .bind(format!("m{id}@example.com"))
        .bind((id % 2 == 0).then_some(""))
        .bind(id % 3)
        .bind(i64::MAX - i64::from(id))
        .bind(id % 2 == 0)
        .fetch_one(&mut conn)
        .await?;
        writeln!(out, "inserted {:?} {:?}", row.get::<Option<String>, _>(0), row.get::<Option<i32>, _>(1)).unwrap();
    }
    let all = sqlx::query("SELECT email, name, age, big, ok FROM people ORDER BY id").fetch_all(&mut conn).await?;
    for row in &all {
        let line = (
            row.get::<Option<String>, _>(0),
            row.get::<Option<String>, _>(1),
            row.get::<Option<i32>, _>(2),
            row.get::<Option<i64>, _>(3),
            row.get::<Option<bool>, _>(4),
        );
        writeln!(out, "row {line:?}").unwrap();
    }
    sqlx_selects(&mut conn, &mut out).await?;
    let mut transaction = conn.begin().await?;
    sqlx::query("UPDATE people SET email = $1 WHERE id = 1")
        .bind("changed@example.com")
        .execute(&mut *transaction)
        .await?;
    let duplicate = sqlx::query("INSERT INTO people (id, email) VALUES (99, $1)").bind("m2@example.com");
    writeln!(out, "duplicate {}", sqlx_code(duplicate.execute(&mut *transaction).await)).unwrap();
    writeln!(out, "failed {}", sqlx_code(transaction.execute("SELECT 1").await)).unwrap();
    transaction.rollback().await?;
    let row = sqlx::query("SELECT email FROM people WHERE id = $1").bind(1).fetch_one(&mut conn).await?;
    writeln!(out, "rolled back {}", row.get::<String, _>(0)).unwrap();
    conn.close().await?;
    let mut conn = sqlx::PgConnection::connect(url).await?;
    let gone = sqlx::query("DELETE FROM people WHERE email = $1").bind("m3@example.com").execute(&mut conn).await?;
    writeln!(out, "reconnected, deleted {}", gone.rows_affected()).unwrap();
    conn.close().await?;
    Ok(out)
}

async fn sqlx_selects(conn: &mut sqlx::PgConnection, out: &mut String) -> Result<(), sqlx::Error> {
    for run in 0..3 {
        let found =
            sqlx::query("SELECT id FROM people WHERE email = $1").bind("m4@example.com").fetch_all(&mut *conn).await?;
        writeln!(out, "by email {run} {:?}", found.iter().map(|r| r.get::<i32, _>(0)).collect::<Vec<_>>()).unwrap();
    }
    let none = sqlx::query("SELECT id FROM people WHERE email = $1").bind(None::<String>).fetch_all(&mut *conn).await?;
    writeln!(out, "null operand {}", none.len()).unwrap();
    let any = sqlx::query("SELECT id FROM people WHERE age = ANY($1) ORDER BY id").bind(vec![1, 2]);
    let ids: Vec<i32> = any.fetch_all(&mut *conn).await?.iter().map(|r| r.get(0)).collect();
    writeln!(out, "any {ids:?}").unwrap();
    let first: Option<(i32, Option<String>)> = sqlx::query_as("SELECT id, email FROM people WHERE ok = $1 ORDER BY id")
        .bind(true)
        .fetch_optional(conn)
        .await?;
    writeln!(out, "first {first:?}").unwrap();
    Ok(())
}
