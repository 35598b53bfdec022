//! UNIQUE and PRIMARY KEY over encrypted columns, and ALTER TABLE around them: rows, tags, SQLSTATEs, and the names that errors
//! give are those of plain tables.

use crate::support::raw::{self, Message, Raw, transcript};
use crate::support::twin::plain as as_plain;
use crate::support::{Twin, eventually};

/// Run in order, on tables of their own for each protocol.
const SCRIPT: &[&str] = &[
    // Constraints of columns.
    "CREATE TABLE u (id int PRIMARY KEY, email seal.text_eq UNIQUE, n seal.int4_ord, k int UNIQUE)",
    "INSERT INTO u VALUES (1, 'mark-a', 1), (2, 'mark-b', 2), (3, NULL, 3), (4, NULL, 3)",
    "INSERT INTO u VALUES (5, 'mark-a', 1)",
    "INSERT INTO u VALUES (1, 'mark-new', 1)",
    "UPDATE u SET email = 'mark-a' WHERE id = 2",
    "INSERT INTO u VALUES (5, 'mark-a', 1) ON CONFLICT (email) DO NOTHING",
    "INSERT INTO u VALUES (5, 'mark-a', 7) ON CONFLICT ON CONSTRAINT u_email_key DO UPDATE SET n = excluded.n RETURNING id, email, n",
    "INSERT INTO u VALUES (5, 'mark-a', 7) ON CONFLICT ON CONSTRAINT nothing DO NOTHING",
    "INSERT INTO u VALUES (1, 'mark-a', 7) ON CONFLICT ON CONSTRAINT u_email_key DO UPDATE SET id = 2",
    // Constraints that are added, with what there is against them.
    "ALTER TABLE u ADD UNIQUE (n)",
    "ALTER TABLE u ADD COLUMN z int, ADD UNIQUE (n)",
    "SELECT z FROM u",
    "DELETE FROM u WHERE id = 4",
    "ALTER TABLE u ADD UNIQUE (n)",
    "ALTER TABLE u ADD UNIQUE (n)",
    "INSERT INTO u VALUES (6, NULL, 3)",
    "ALTER TABLE u DROP CONSTRAINT u_n_key, DROP CONSTRAINT u_n_key1",
    "ALTER TABLE u DROP CONSTRAINT u_n_key",
    "ALTER TABLE u DROP CONSTRAINT IF EXISTS u_n_key",
    "INSERT INTO u VALUES (6, NULL, 3)",
    "ALTER TABLE u RENAME CONSTRAINT u_email_key TO mail",
    "ALTER TABLE u RENAME CONSTRAINT u_email_key TO mail",
    "INSERT INTO u VALUES (7, 'mark-a', 1)",
    "INSERT INTO u VALUES (7, 'mark-a', 1) ON CONFLICT ON CONSTRAINT mail DO NOTHING",
    "COMMENT ON CONSTRAINT mail ON u IS 'one each'",
    "COMMENT ON CONSTRAINT u_email_key ON u IS 'one each'",
    "ALTER TABLE u ADD COLUMN x int, DROP CONSTRAINT mail, ADD CONSTRAINT pair UNIQUE (k, email), ADD COLUMN y seal.text_eq CONSTRAINT yy UNIQUE",
    "INSERT INTO u (id, email, k) VALUES (8, 'mark-a', 10), (9, 'mark-a', 11)",
    "UPDATE u SET k = 10 WHERE id = 9",
    "ALTER TABLE u DROP CONSTRAINT u_k_key",
    "UPDATE u SET k = 10 WHERE id = 9",
    "INSERT INTO u (id, k, email) VALUES (10, 10, 'mark-a') ON CONFLICT ON CONSTRAINT pair DO UPDATE SET x = 1 RETURNING id, x",
    "INSERT INTO u (id, k, email) VALUES (10, 10, 'mark-a') ON CONFLICT (k, email) DO UPDATE SET x = u.x + 1 RETURNING id, x",
    "INSERT INTO u (id, k, email) VALUES (10, 10, 'mark-a') ON CONFLICT (email, k) DO NOTHING",
    "INSERT INTO u (id, y) VALUES (11, 'mark-y')",
    "INSERT INTO u (id, y) VALUES (12, 'mark-y')",
    "ALTER TABLE u ADD COLUMN IF NOT EXISTS y seal.text_eq UNIQUE",
    "ALTER TABLE u ADD CONSTRAINT pair UNIQUE (email)",
    "ALTER TABLE u ADD UNIQUE (nothing, email)",
    "ALTER TABLE u ADD UNIQUE (email, k, email)",
    "ALTER TABLE u ADD CONSTRAINT c PRIMARY KEY (y, y)",
    "CREATE TABLE n (e seal.text_eq, UNIQUE (e, e))",
    "ALTER TABLE nothing ADD UNIQUE (email)",
    "ALTER TABLE u ALTER COLUMN y SET NOT NULL",
    "ALTER TABLE u ALTER COLUMN email DROP NOT NULL, ALTER COLUMN email SET DEFAULT NULL, ALTER COLUMN k SET DEFAULT 4",
    "ALTER TABLE u ADD CONSTRAINT given CHECK (email IS NOT NULL OR y IS NOT NULL OR id < 7)",
    "INSERT INTO u (id) VALUES (20)",
    "ALTER TABLE u DROP CONSTRAINT given",
    "INSERT INTO u (id) VALUES (20) RETURNING id, email, k",
    "SELECT id, email, n, k, x, y FROM u ORDER BY id",
    // PRIMARY KEY.
    "CREATE TABLE p (e seal.text_eq PRIMARY KEY, v int)",
    "INSERT INTO p VALUES ('mark-e', 1)",
    "INSERT INTO p VALUES ('mark-e', 2)",
    "INSERT INTO p VALUES (NULL, 2)",
    "INSERT INTO p (v) VALUES (2)",
    "INSERT INTO p VALUES ('mark-e', 2) ON CONFLICT ON CONSTRAINT p_pkey DO UPDATE SET v = excluded.v RETURNING e, v",
    "INSERT INTO p VALUES ('mark-e', 3) ON CONFLICT (e) DO UPDATE SET v = excluded.v RETURNING e, v",
    "ALTER TABLE p ADD PRIMARY KEY (v)",
    "ALTER TABLE p ADD PRIMARY KEY (v, e)",
    "ALTER TABLE p ALTER COLUMN e DROP NOT NULL",
    "ALTER TABLE p DROP CONSTRAINT p_pkey, ALTER COLUMN e DROP NOT NULL",
    "ALTER TABLE p ADD PRIMARY KEY (v, e)",
    "INSERT INTO p VALUES ('mark-e', 3)",
    "ALTER TABLE p ALTER COLUMN v DROP NOT NULL",
    "CREATE TABLE pp (a int, e seal.int4_ord, b text, CONSTRAINT key2 PRIMARY KEY (a, e) INCLUDE (b), UNIQUE NULLS NOT DISTINCT (b, e))",
    "INSERT INTO pp VALUES (1, 1, 'x'), (1, 2, NULL)",
    "INSERT INTO pp VALUES (1, 1, 'y')",
    "INSERT INTO pp VALUES (2, 2, NULL)",
    "INSERT INTO pp VALUES (3, NULL, 'z')",
    "CREATE TABLE twice (e seal.text_eq PRIMARY KEY, i int, PRIMARY KEY (i))",
    "CREATE TABLE twice (e seal.text_eq, i int, PRIMARY KEY (i), PRIMARY KEY (e))",
    "CREATE TABLE holds (id int, e seal.text_eq)",
    "INSERT INTO holds VALUES (1, NULL)",
    "ALTER TABLE holds ADD PRIMARY KEY (e)",
    "ALTER TABLE holds ADD COLUMN f seal.text_eq PRIMARY KEY",
    "DELETE FROM holds; INSERT INTO holds VALUES (1, 'mark-h'), (2, 'mark-h')",
    "ALTER TABLE holds ADD PRIMARY KEY (e)",
    "ALTER TABLE holds ADD CONSTRAINT both PRIMARY KEY (id, e)",
    "INSERT INTO holds VALUES (2, 'mark-h')",
    // What is given twice, and what is there.
    "CREATE TABLE d (e seal.text_eq UNIQUE, UNIQUE (e), CONSTRAINT named UNIQUE (e), f seal.text_eq)",
    "INSERT INTO d VALUES ('mark-d')",
    "INSERT INTO d VALUES ('mark-d')",
    "ALTER TABLE d DROP CONSTRAINT named",
    "INSERT INTO d VALUES ('mark-d')",
    "CREATE TABLE IF NOT EXISTS d (e seal.text_eq UNIQUE)",
    "INSERT INTO d VALUES ('mark-d')",
    "CREATE TABLE d (e seal.text_eq UNIQUE)",
    "CREATE TABLE IF NOT EXISTS d2 (e seal.text_eq UNIQUE)",
    "INSERT INTO d2 VALUES ('mark-d'), ('mark-d')",
    "ALTER TABLE d2 RENAME TO d3",
    "CREATE TABLE d2 (e seal.text_eq UNIQUE)",
    "INSERT INTO d2 VALUES ('mark-d'), ('mark-d')",
    "CREATE TABLE plain_first (e_old text UNIQUE); ALTER TABLE plain_first RENAME e_old TO e_plain",
    "ALTER TABLE plain_first ADD COLUMN e_old seal.text_eq UNIQUE",
    "INSERT INTO plain_first (e_old) VALUES ('mark-d'), ('mark-d')",
    "CREATE TABLE a_table_with_a_name_that_is_long (a_column_with_a_name_that_is_long_too seal.text_eq UNIQUE, Ünïcödé_column seal.text_eq, UNIQUE (a_column_with_a_name_that_is_long_too, Ünïcödé_column))",
    "INSERT INTO a_table_with_a_name_that_is_long VALUES ('mark-d', 'x'), ('mark-d', 'y')",
    "ALTER TABLE a_table_with_a_name_that_is_long DROP CONSTRAINT a_table_with_a_name_that_is_lon_a_column_with_a_name_that_is_key",
    "INSERT INTO a_table_with_a_name_that_is_long VALUES ('mark-d', 'x'), ('mark-d', 'x')",
    "CREATE TABLE \"Odd t\" (\"E mail\" seal.text_eq CONSTRAINT \"Odd k\" UNIQUE, \"select\" seal.text_eq, UNIQUE (\"select\", \"E mail\"))",
    "INSERT INTO \"Odd t\" VALUES ('mark-d', 'x'), ('mark-d', 'y')",
    "INSERT INTO \"Odd t\" VALUES ('mark-d', 'x') ON CONFLICT ON CONSTRAINT \"Odd k\" DO NOTHING",
    // Several statements of one text are one transaction.
    "CREATE TABLE m (e seal.text_eq UNIQUE); INSERT INTO m VALUES ('mark-m'); INSERT INTO m VALUES ('mark-m')",
    "SELECT count(*) FROM m",
    "CREATE TABLE m (e seal.text_eq UNIQUE); INSERT INTO m VALUES ('mark-m'); ALTER TABLE m DROP CONSTRAINT m_e_key; INSERT INTO m VALUES ('mark-m')",
    "SELECT e FROM m",
    // Transactions, savepoints, temporary tables.
    "BEGIN",
    "CREATE TEMP TABLE tt (e seal.text_eq UNIQUE) ON COMMIT DROP",
    "INSERT INTO tt VALUES ('mark-t')",
    "SAVEPOINT s",
    "INSERT INTO tt VALUES ('mark-t')",
    "ROLLBACK TO s",
    "INSERT INTO tt VALUES ('mark-t') ON CONFLICT ON CONSTRAINT tt_e_key DO NOTHING",
    "CREATE TABLE in_block (e seal.text_eq PRIMARY KEY)",
    "INSERT INTO in_block VALUES ('mark-t')",
    "SAVEPOINT s",
    "INSERT INTO in_block VALUES ('mark-t')",
    "ROLLBACK TO s",
    "ALTER TABLE in_block DROP CONSTRAINT in_block_pkey",
    "INSERT INTO in_block VALUES ('mark-t')",
    "ALTER TABLE in_block ADD UNIQUE (e)",
    "SELECT 1",
    "COMMIT",
    "SELECT count(*) FROM in_block",
    "SELECT count(*) FROM tt",
    // Families of tables.
    "CREATE TABLE pt (id int, e seal.text_eq, UNIQUE (id, e)) PARTITION BY RANGE (id)",
    "CREATE TABLE pt1 PARTITION OF pt (CONSTRAINT once UNIQUE (e)) FOR VALUES FROM (0) TO (10)",
    "CREATE TABLE pt2 (id int, e seal.text_eq)",
    "ALTER TABLE pt ATTACH PARTITION pt2 FOR VALUES FROM (10) TO (20)",
    "INSERT INTO pt VALUES (1, 'mark-p'), (11, 'mark-p')",
    "INSERT INTO pt VALUES (2, 'mark-p')",
    "INSERT INTO pt VALUES (11, 'mark-p') ON CONFLICT (id, e) DO NOTHING",
    "INSERT INTO pt VALUES (11, 'mark-p') ON CONFLICT ON CONSTRAINT pt_id_e_key DO NOTHING",
    "SELECT id FROM pt WHERE e = 'mark-p' ORDER BY id",
    "ALTER TABLE pt DETACH PARTITION pt2",
    "ALTER TABLE pt ADD UNIQUE (e)",
    "ALTER TABLE pt ADD PRIMARY KEY (e)",
    "CREATE TABLE bad (id int, e seal.text_eq UNIQUE) PARTITION BY RANGE (id)",
    "CREATE TABLE parent (id int, e seal.text_eq UNIQUE)",
    "CREATE TABLE child (UNIQUE (id, e)) INHERITS (parent)",
    "INSERT INTO child VALUES (1, 'mark-c'), (2, 'mark-c')",
    "INSERT INTO child VALUES (1, 'mark-c')",
    "ALTER TABLE child NO INHERIT parent",
    "ALTER TABLE child INHERIT parent",
    "SELECT e, count(*) FROM parent GROUP BY e",
    "TRUNCATE parent",
    "SELECT count(*) FROM parent",
    "ALTER TABLE IF EXISTS missing ADD UNIQUE (e)",
];

/// Statements with a word of their own where nothing may be sent in plain.
const MARK: &[u8] = b"mark-";

/// Everything a client may go by: tags, rows, and of errors all but the values. The step at which one comes is left out.
fn shown(messages: &[Message]) -> String {
    let failed = messages.iter().any(|m| m.tag == b'E');
    let steps = |m: &&Message| !(failed && matches!(m.tag, b'1' | b'2' | b'n'));
    let mut out = transcript(&messages.iter().filter(steps).cloned().collect::<Vec<_>>());
    for error in messages.iter().filter_map(Message::error) {
        // Schema, table, column and constraint.
        let names = error.all.iter().filter(|(field, name)| "stcn".contains(*field) && !name.starts_with("pg_temp_"));
        let names: Vec<String> = names.map(|(field, name)| format!("{field} {name}")).collect();
        out += &format!("\n{} ({})", error.message, names.join(", "));
    }
    out
}

fn send(to: &mut Raw, sql: &str, extended: bool) -> Vec<Message> {
    match extended && !sql.contains("; ") {
        true => to.ask(&raw::extended(sql, &[])),
        false => to.ask(&raw::query(sql)),
    }
}

#[test]
fn constraints_are_the_same_as_on_plain_tables() {
    let twin = Twin::start();
    let mut differences = Vec::new();
    for extended in [false, true] {
        let (mut plain, mut sealed) = twin.raw();
        for side in [&mut plain, &mut sealed] {
            side.query(&format!("CREATE SCHEMA e{extended}; SET search_path = e{extended}"));
        }
        for sql in SCRIPT {
            let left = shown(&send(&mut plain, &as_plain(sql), extended));
            let answers = send(&mut sealed, sql, extended);
            let right = shown(&answers);
            if left != right {
                differences
                    .push(format!("{sql}\n--- plain\n{left}\n--- through the proxy, extended {extended}\n{right}"));
            }
            for error in answers.iter().filter_map(Message::error) {
                let detail = error.detail.unwrap_or_default();
                assert!(
                    !detail.contains("mark-") && !detail.contains("\\x") && !detail.contains("eq"),
                    "{sql}: {detail}"
                );
            }
        }
    }
    assert!(differences.is_empty(), "{} statements differ:\n{}", differences.len(), differences.join("\n"));
    assert!(!twin.relay.sent().windows(MARK.len()).any(|w| w == MARK), "a value was sent in plain");
}

#[test]
fn a_constraint_is_its_transactions_own_until_that_commits() {
    let twin = Twin::start();
    let (mut one, mut two) = (twin.raw_sealed(), twin.raw_sealed());
    one.query("BEGIN");
    assert_eq!(one.query("CREATE TABLE c (id int, e seal.text_eq UNIQUE)"), "C CREATE TABLE\nZ T");
    assert_eq!(one.query("INSERT INTO c VALUES (1, 'mark-1')"), "C INSERT 0 1\nZ T");
    assert_eq!(two.error("INSERT INTO c VALUES (1, 'of no table')").code, "42P01");
    let again = "INSERT INTO c VALUES (2, 'mark-1') ON CONFLICT ON CONSTRAINT c_e_key DO NOTHING";
    assert_eq!(one.query(again), "C INSERT 0 0\nZ T");
    one.query("COMMIT");
    assert_eq!(two.query(again), "C INSERT 0 0\nZ I");
    let twice = two.error("INSERT INTO c VALUES (2, 'mark-1')");
    assert_eq!((twice.code.as_str(), twice.detail.as_deref()), ("23505", Some("Key (e)=(encrypted) already exists.")));
    assert!(twice.all.contains(&('n', "c_e_key".to_owned())), "{twice:?}");
    one.query("ALTER TABLE c RENAME CONSTRAINT c_e_key TO k");
    assert_eq!(two.error(again).code, "42704");
    assert_eq!(two.query(&again.replace("c_e_key", "k")), "C INSERT 0 0\nZ I");
    // Past the proxy.
    twin.direct.sql("ALTER INDEX k RENAME TO c_e_key");
    eventually("the new name is known", || (two.query(again) == "C INSERT 0 0\nZ I").then_some(()));
    assert!(!twin.relay.sent().windows(MARK.len()).any(|w| w == MARK), "a value was sent in plain");
}

#[test]
fn statements_in_steps_stand_in_a_pipeline_as_one() {
    let twin = Twin::start();
    let mut raw = twin.raw_sealed();
    let statement = |name: &str, sql: &str| {
        [raw::parse(name, sql, &[]), raw::bind(name, name, &[]), raw::execute(name, 0)].concat()
    };
    let batch = [
        statement("make", "CREATE TABLE s (e seal.text_eq UNIQUE, n int)"),
        statement("fill", "INSERT INTO s VALUES ('mark-1', 1), ('mark-2', 1)"),
        statement("more", "ALTER TABLE s ADD CONSTRAINT pair UNIQUE (n, e), ADD COLUMN m int, DROP CONSTRAINT s_e_key"),
        statement("same", "INSERT INTO s VALUES ('mark-1', 2)"),
        raw::sync(),
    ];
    let shown = transcript(&raw.ask(&batch.concat()));
    assert_eq!(shown, "1 \n2 \nC CREATE TABLE\n1 \n2 \nC INSERT 0 2\n1 \n2 \nC ALTER TABLE\n1 \n2 \nC INSERT 0 1\nZ I");
    // A step that fails undoes all of it, and what follows is skipped.
    let batch = [
        statement("", "ALTER TABLE s ADD COLUMN x int, ADD UNIQUE (e)"),
        statement("", "INSERT INTO s VALUES ('mark-3', 3)"),
        raw::sync(),
        raw::query("SELECT count(*) FROM s"),
    ];
    raw.send(&batch.concat());
    assert_eq!(transcript(&raw.until_ready()), "1 \n2 \nE ERROR 23505\nZ I");
    assert_eq!(transcript(&raw.until_ready()).lines().nth(1), Some("D 3"));
    assert_eq!(raw.error("SELECT x FROM s").code, "42703");
    // Run again, a prepared statement fails as any that makes what is there.
    let again = transcript(&raw.ask(&[raw::bind("", "make", &[]), raw::execute("", 0), raw::sync()].concat()));
    assert!(again.ends_with("E ERROR 42P07\nZ I"), "{again}");
}

#[test]
fn copies_and_partitions_keep_values_unique() {
    let twin = Twin::start();
    let mut raw = twin.raw_sealed();
    raw.query("CREATE TABLE t (id int, e seal.text_eq UNIQUE, o seal.int4_ord, UNIQUE (id, o))");
    raw.query("CREATE TABLE l (LIKE t INCLUDING ALL)");
    raw.query("INSERT INTO l VALUES (1, 'mark-1', 1)");
    assert_eq!(raw.error("INSERT INTO l VALUES (2, 'mark-1', 2)").code, "23505");
    assert_eq!(raw.error("INSERT INTO l VALUES (1, 'mark-2', 1)").code, "23505");
    raw.query("CREATE TABLE p (id int, e seal.text_eq, PRIMARY KEY (id, e)) PARTITION BY LIST (id)");
    raw.query("CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)");
    assert_eq!(raw.query("INSERT INTO p VALUES (1, 'mark-1')"), "C INSERT 0 1\nZ I");
    let twice = raw.error("INSERT INTO p VALUES (1, 'mark-1')");
    assert_eq!(
        (twice.code.as_str(), twice.detail.as_deref()),
        ("23505", Some("Key (id, e)=(encrypted) already exists."))
    );
    assert_eq!(raw.error("INSERT INTO p VALUES (1, NULL)").code, "23502");
    assert_eq!(raw.query("INSERT INTO p1 VALUES (1, 'mark-1') ON CONFLICT (id, e) DO NOTHING"), "C INSERT 0 0\nZ I");
    assert_eq!(raw.error("CREATE TABLE bad (e seal.text_eq) PARTITION BY LIST (e)").code, "0A000");
    // In another schema, of another owner.
    raw.query("CREATE SCHEMA other; ALTER TABLE t SET SCHEMA other; ALTER TABLE other.t OWNER TO app");
    raw.query("INSERT INTO other.t VALUES (1, 'mark-1', 1)");
    let again = "INSERT INTO other.t VALUES (2, 'mark-1', 2) ON CONFLICT ON CONSTRAINT t_e_key DO NOTHING";
    assert_eq!(raw.query(again), "C INSERT 0 0\nZ I");
    assert_eq!(raw.query("ALTER TABLE other.t DROP CONSTRAINT t_e_key"), "C ALTER TABLE\nZ I");
    assert_eq!(raw.query(&again.replace(" ON CONFLICT ON CONSTRAINT t_e_key DO NOTHING", "")), "C INSERT 0 1\nZ I");
}

#[test]
fn errors_point_into_the_clients_text() {
    let twin = Twin::start();
    let mut raw = twin.raw_sealed();
    raw.query("CREATE TABLE t (id int, e seal.text_eq)");
    for (sql, at) in [
        (
            "CREATE TABLE n (e seal.text_eq CONSTRAINT long_name UNIQUE NULLS NOT DISTINCT, x no_such_type)",
            "no_such_type",
        ),
        ("SELECT 1; CREATE TABLE n (UNIQUE (e), e seal.text_eq, CHECK (no_such_column > 0))", "no_such_column"),
        ("ALTER TABLE t ADD CONSTRAINT c UNIQUE (e), ADD COLUMN x no_such_type", "no_such_type"),
        ("ALTER TABLE t ADD UNIQUE (e), ADD UNIQUE (e, no_such_column)", "UNIQUE (e, no"),
    ] {
        assert_eq!(raw.error(sql).position, sql.find(at).map(|at| at + 1), "{sql}");
    }
    // A statement of ours has no place in the client's text.
    raw.query("INSERT INTO t VALUES (1, 'mark-1'), (2, 'mark-1')");
    let twice = raw.error("ALTER TABLE t ADD COLUMN x int, ADD UNIQUE (e)");
    assert_eq!((twice.code.as_str(), twice.position), ("23505", None));
    assert_eq!(twice.detail.as_deref(), Some("Key (e)=(encrypted) is duplicated."));
    let internals: Vec<_> = twice.all.iter().filter(|(field, _)| "pqW".contains(*field)).collect();
    assert!(internals.is_empty(), "{internals:?}");
    assert!(raw.rows("SELECT name FROM pg_prepared_statements").is_empty(), "nothing of ours is left");
}
