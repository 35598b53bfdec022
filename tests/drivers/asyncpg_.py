"""asyncpg: binary everywhere, Parse, Describe and Flush without Sync, portals with row limits, a pool that resets connections."""

import asyncio
import datetime as dt
import decimal
import os
import uuid

import asyncpg

URL = os.environ["DATABASE_URL"]
UTC = dt.timezone.utc
COLUMNS = "id, plain, email, name, age, big, small, ok, price, ratio, born, seen, uid, blob, doc"
ROW = ("one", "a@example.com", "O'Brien \\ ü", 42, 9007199254740993, -7, True, decimal.Decimal("12.50"), 0.1,
       dt.date(1969, 7, 20), dt.datetime(1969, 7, 20, 20, 17, 40, tzinfo=UTC), uuid.UUID(int=7), b"\x00\xff", '{"k": [1]}')


def show(label, value):
    print(label, repr(value), flush=True)


def plain(records):
    return [tuple(r) for r in records]


async def sqlstate(awaitable):
    try:
        await awaitable
    except asyncpg.PostgresError as error:
        return error.sqlstate
    return "no error"


async def insert(conn):
    marks = ", ".join(f"${i + 1}" for i in range(15))
    statement = await conn.prepare(f"INSERT INTO people ({COLUMNS}) VALUES ({marks}) RETURNING id, email")
    show("parameters", [t.name for t in statement.get_parameters()])
    show("columns", [(a.name, a.type.name) for a in statement.get_attributes()])
    show("inserted", plain(await statement.fetch(1, *ROW)))
    show("inserted", plain(await statement.fetch(2, "two", "b@example.com", "", -1, -1, 0, False, decimal.Decimal("NaN"),
                                                 float("-inf"), dt.date(9999, 12, 31), ROW[10], uuid.UUID(int=0), b"", "null")))
    show("nulls", plain(await statement.fetch(3, *[None] * 14)))
    show("status", statement.get_statusmsg())
    await conn.executemany("INSERT INTO people (id, email, age) VALUES ($1, $2, $3)",
                           [(100 + i, f"m{i}@example.com", i % 3) for i in range(20)])


async def select(conn):
    show("all", plain(await conn.fetch(f"SELECT {COLUMNS} FROM people ORDER BY id")))
    for column, value in (("email", "a@example.com"), ("name", ""), ("age", 42), ("big", 9007199254740993), ("small", -7),
                          ("ok", True), ("price", decimal.Decimal("12.5")), ("ratio", 0.1), ("born", dt.date(1969, 7, 20)),
                          ("seen", ROW[10]), ("uid", uuid.UUID(int=7)), ("blob", b"\x00\xff")):
        query = f"SELECT id FROM people WHERE {column} = $1 ORDER BY id"
        show(f"by {column}", plain(await conn.fetch(query, value)))
        show("null operand", plain(await conn.fetch(query, None)))
    show("any", plain(await conn.fetch("SELECT id FROM people WHERE email = ANY($1) ORDER BY id", ["a@example.com", "m3@example.com", None])))
    show("any int", plain(await conn.fetch("SELECT id FROM people WHERE age = ANY($1::int[]) ORDER BY id", [42, 1])))
    show("value", await conn.fetchval("SELECT email FROM people WHERE id = $1", 2))
    statement = await conn.prepare("SELECT id, age FROM people WHERE email = $1")
    show("prepared", [plain(await statement.fetch(f"m{i}@example.com")) for i in range(8)])


async def cursors(conn):
    async with conn.transaction():
        seen = []
        async for record in conn.cursor("SELECT id, email FROM people WHERE age = $1 ORDER BY id", 1, prefetch=3):
            seen.append(tuple(record))
        show("cursor", seen)
        cursor = await conn.cursor("SELECT email FROM people WHERE age = $1 ORDER BY id", 2)
        show("fetched", plain(await cursor.fetch(2)))
        show("other in between", await conn.fetchval("SELECT count(*) FROM people WHERE email = $1", "a@example.com"))
        show("fetched", plain(await cursor.fetch(100)))


async def transactions(conn):
    transaction = conn.transaction()
    await transaction.start()
    await conn.execute("UPDATE people SET email = $1 WHERE id = 1", "changed@example.com")
    show("duplicate", await sqlstate(conn.execute("INSERT INTO people (id, email) VALUES (9, $1)", "b@example.com")))
    show("failed", await sqlstate(conn.execute("SELECT 1")))
    await transaction.rollback()
    show("rolled back", await conn.fetchval("SELECT email FROM people WHERE id = 1"))
    async with conn.transaction():
        try:
            async with conn.transaction():
                await conn.execute("UPDATE people SET age = $1 WHERE id = 1", 43)
                await conn.execute("SELECT 1/0")
        except asyncpg.PostgresError as error:
            show("nested", error.sqlstate)
        show("age", await conn.fetchval("SELECT age FROM people WHERE id = 1"))
    failing = conn.executemany("INSERT INTO people (id, email) VALUES ($1, $2)",
                               [(200, "p@example.com"), (201, "p@example.com"), (202, "q@example.com")])
    show("failing batch", await sqlstate(failing))
    show("after", await conn.fetchval("SELECT count(*) FROM people WHERE email = ANY($1)", ["p@example.com", "q@example.com"]))
    show("script", await conn.execute("UPDATE people SET age = 5 WHERE id = 1; DELETE FROM people WHERE email = 'm9@example.com'"))


async def main():
    conn = await asyncpg.connect(URL)
    await insert(conn)
    await select(conn)
    await cursors(conn)
    await transactions(conn)
    await conn.close()
    async with asyncpg.create_pool(URL, min_size=1, max_size=1) as pool:
        for number in range(3):
            async with pool.acquire() as conn:
                show("pooled", await conn.fetchval("SELECT id FROM people WHERE email = $1", f"m{number}@example.com"))
                await conn.execute("SET statement_timeout = '1min'")
        show("reset", await pool.fetchval("SHOW statement_timeout"))
        show("deleted", await pool.execute("DELETE FROM people WHERE email = ANY($1)", ["m1@example.com", "m2@example.com"]))
    print("done")


asyncio.run(main())
