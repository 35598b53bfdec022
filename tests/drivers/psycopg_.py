"""psycopg 3: text and binary parameters and results, named statements from the sixth run on, pipelines, executemany."""

import datetime as dt
import decimal
import os
import uuid

import psycopg
from psycopg.types.json import Jsonb

URL = os.environ["DATABASE_URL"]
UTC = dt.timezone.utc
COLUMNS = "id, plain, email, name, age, big, small, ok, price, ratio, born, seen, uid, blob, doc"
ROWS = [
    (1, "one", "a@example.com", "O'Brien \\ ü", 42, 9007199254740993, -7, True, decimal.Decimal("12.50"), 0.1,
     dt.date(1969, 7, 20), dt.datetime(1969, 7, 20, 20, 17, 40, tzinfo=UTC), uuid.UUID(int=7), b"\x00\xff", {"k": [1]}),
    (2, "two", "b@example.com", "", -1, -1, 0, False, decimal.Decimal("NaN"), float("-inf"),
     dt.date(9999, 12, 31), dt.datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC), uuid.UUID(int=0), b"", None),
]


def show(label, value):
    print(label, repr(value), flush=True)


def values(row):
    return [Jsonb(v) if i == 14 and v is not None else v for i, v in enumerate(row)]


def sqlstate(action):
    try:
        action()
    except psycopg.Error as error:
        return error.sqlstate
    return "no error"


def all_rows(conn, binary):
    with conn.cursor(binary=binary) as cur:
        cur.execute(f"SELECT {COLUMNS} FROM people ORDER BY id")
        show(f"columns binary={binary}", [(c.name, c.type_code) for c in cur.description])
        for row in cur:
            show("row", row)


def insert(conn):
    marks = ", ".join(["%s"] * 15)
    with conn.cursor() as cur:
        for row in ROWS:
            cur.execute(f"INSERT INTO people ({COLUMNS}) VALUES ({marks})", values(row))
            show("inserted", cur.statusmessage)
    marks = ", ".join(["%b"] * 15)
    row = (3, "three", "c@example.com") + ROWS[0][3:]
    with conn.cursor() as cur:
        cur.execute(f"INSERT INTO people ({COLUMNS}) VALUES ({marks}) RETURNING id, email, price, seen", values(row))
        show("returned", cur.fetchall())
        cur.execute("INSERT INTO people (id, email, age) VALUES (%s, %s, %s) RETURNING *", (4, None, None))
        show("nulls", cur.fetchall())


def select(conn):
    for mark in ("%t", "%b", "%s"):
        for run in range(8):  # the sixth run is the first of a named statement
            rows = conn.execute(f"SELECT id, email FROM people WHERE email = {mark}", ("b@example.com",)).fetchall()
            show(f"by email {mark} {run}", rows)
        for column, value in (("age", 42), ("big", 9007199254740993), ("ok", True), ("ratio", 0.1), ("uid", uuid.UUID(int=7)),
                              ("born", dt.date(1969, 7, 20)), ("seen", ROWS[0][11]), ("blob", b"\x00\xff"),
                              ("price", decimal.Decimal("12.5"))):
            rows = conn.execute(f"SELECT id FROM people WHERE {column} = {mark} ORDER BY id", (value,)).fetchall()
            show(f"by {column} {mark}", rows)
    show("any", conn.execute("SELECT id FROM people WHERE email = ANY(%s) ORDER BY id", (["a@example.com", "x", None],)).fetchall())
    show("any binary", conn.execute("SELECT id FROM people WHERE age = ANY(%b) ORDER BY id", ([42, -1],)).fetchall())
    show("in", conn.execute("SELECT id FROM people WHERE email IN (%s, %s) ORDER BY id", ("a@example.com", "b@example.com")).fetchall())
    show("empty any", conn.execute("SELECT id FROM people WHERE email = ANY(%s)", ([],)).fetchall())
    show("null operand", conn.execute("SELECT id FROM people WHERE email = %s", (None,)).fetchall())


def transactions(conn):
    conn.autocommit = False
    conn.execute("UPDATE people SET email = %s WHERE id = 1", ("changed@example.com",))
    show("duplicate", sqlstate(lambda: conn.execute("INSERT INTO people (id, email) VALUES (9, %s)", ("b@example.com",))))
    show("failed", (conn.info.transaction_status.name, sqlstate(lambda: conn.execute("SELECT 1"))))
    conn.rollback()
    show("rolled back", conn.execute("SELECT email FROM people WHERE id = 1").fetchall())
    try:
        with conn.transaction():
            conn.execute("UPDATE people SET age = %s WHERE id = 1", (43,))
            with conn.transaction():
                conn.execute("UPDATE people SET plain = (1/0)::text WHERE id = %s", (1,))
    except psycopg.Error as error:
        show("nested", error.sqlstate)
    show("age", conn.execute("SELECT age FROM people WHERE id = 1").fetchall())
    conn.rollback()
    conn.autocommit = True
    show("bad value", sqlstate(lambda: conn.execute("SELECT id FROM people WHERE age = %t", ("no number",))))
    show("status", conn.info.transaction_status.name)


def batches(conn):
    with conn.cursor() as cur:
        rows = [(100 + i, f"m{i}@example.com", i % 3) for i in range(20)]
        cur.executemany("INSERT INTO people (id, email, age) VALUES (%s, %s, %s) RETURNING email", rows, returning=True)
        results = []
        while True:
            results.append(cur.fetchone())
            if not cur.nextset():
                break
        show("executemany", results)
    with conn.pipeline():
        first = conn.execute("SELECT id FROM people WHERE email = %s", ("m3@example.com",))
        second = conn.execute("UPDATE people SET age = %s WHERE email = %s RETURNING age", (77, "m4@example.com"))
        third = conn.execute("SELECT count(*) FROM people WHERE age = %s", (77,))
        show("pipeline", (first.fetchall(), second.fetchall(), third.fetchall()))

    def failing():
        with conn.pipeline():
            conn.execute("INSERT INTO people (id, email) VALUES (200, %s)", ("p@example.com",))
            conn.execute("INSERT INTO people (id, email) VALUES (201, %s)", ("p@example.com",))
            conn.execute("INSERT INTO people (id, email) VALUES (202, %s)", ("q@example.com",))

    show("failing pipeline", sqlstate(failing))
    show("after", conn.execute("SELECT id FROM people WHERE email IN ('p@example.com', 'q@example.com')").fetchall())


def cursors(conn):
    """Cursors of the server."""
    with conn.transaction():
        with conn.cursor(name="scan") as cur:
            cur.itersize = 3
            cur.execute("SELECT id, email, age FROM people WHERE age <> %s ORDER BY id", (2,))
            show("described", [(c.name, c.type_code) for c in cur.description])
            show("scan", list(cur))
        for binary in (False, True):
            with conn.cursor(name="scroll", scrollable=True, binary=binary) as cur:
                cur.execute("SELECT email, born FROM people ORDER BY id")
                first = cur.fetchmany(2)
                cur.scroll(-1)
                show("scroll", (binary, first, cur.fetchone(), cur.fetchall() == first[2:]))
    with conn.cursor(name="held", withhold=True) as cur:
        cur.execute("SELECT email FROM people WHERE email = %s", ("m3@example.com",))
        show("held", cur.fetchall())


def main():
    with psycopg.connect(URL, autocommit=True) as conn:
        insert(conn)
        all_rows(conn, False)
        all_rows(conn, True)
        select(conn)
        transactions(conn)
        batches(conn)
        cursors(conn)
    with psycopg.connect(URL) as conn:
        show("reconnected", conn.execute("SELECT id FROM people WHERE email = %s", ("m3@example.com",)).fetchall())
        with conn.cursor() as cur:
            cur.execute("DELETE FROM people WHERE email = ANY(%s)", ([f"m{i}@example.com" for i in range(20)],))
            show("deleted", cur.statusmessage)
    print("done")


main()
