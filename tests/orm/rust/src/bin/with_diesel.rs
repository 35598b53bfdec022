//! Diesel: migrations that can be taken back, the query builder, associations, COPY, nested transactions, a pool.

use std::io::Read;
use std::str::FromStr;

use bigdecimal::BigDecimal;
use chrono::NaiveDate;
use diesel::dsl::{avg, count, count_star, exists, max, min, not, sql, sum};
use diesel::pg::{CopyFormat, PgRowByRowLoadingMode};
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::{Nullable, Text};
use diesel::upsert::{excluded, on_constraint};
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use mappers::{migrations, plain_url, show, url};
use serde_json::{Value, json};

type Done = Result<(), Box<dyn std::error::Error + Send + Sync>>;

diesel::table! {
    customers (id) {
        id -> Integer,
        email -> Text,
        name -> Nullable<Varchar>,
        age -> Nullable<Integer>,
        balance -> Nullable<Numeric>,
        born -> Nullable<Date>,
        tags -> Nullable<Array<Nullable<Text>>>,
        settings -> Nullable<Jsonb>,
        active -> Nullable<Bool>,
        city -> Nullable<Text>,
        phone -> Nullable<Text>,
    }
}

diesel::table! {
    orders (id) {
        id -> Integer,
        customer_id -> Integer,
        item -> Text,
        card -> Nullable<Text>,
    }
}

diesel::joinable!(orders -> customers (customer_id));
diesel::allow_tables_to_appear_in_same_query!(customers, orders);

#[diesel::declare_sql_function]
extern "SQL" {
    fn lower(text: Text) -> Text;
}

#[derive(Debug, Clone, Queryable, Selectable, Identifiable, AsChangeset)]
struct Customer {
    id: i32,
    email: String,
    name: Option<String>,
    age: Option<i32>,
    balance: Option<BigDecimal>,
    born: Option<NaiveDate>,
    tags: Option<Vec<Option<String>>>,
    settings: Option<Value>,
    active: Option<bool>,
    city: Option<String>,
    phone: Option<String>,
}

#[derive(Debug, Queryable, Selectable, Identifiable, Associations)]
#[diesel(belongs_to(Customer))]
#[allow(dead_code)]
struct Order {
    id: i32,
    customer_id: i32,
    item: String,
    card: Option<String>,
}

#[derive(Default, Insertable)]
#[diesel(table_name = customers)]
struct New {
    email: String,
    name: Option<String>,
    age: Option<i32>,
    balance: Option<BigDecimal>,
    born: Option<NaiveDate>,
    tags: Option<Vec<Option<String>>>,
    settings: Option<Value>,
    active: Option<bool>,
    city: Option<String>,
}

#[derive(Insertable)]
#[diesel(table_name = orders, treat_none_as_default_value = false)]
struct NewOrder {
    customer_id: i32,
    item: String,
    card: Option<String>,
}

fn person(i: i32) -> New {
    New {
        email: format!("user{i:02}@example.com"),
        name: Some(format!("User {}", i % 7)),
        age: Some(20 + i),
        balance: Some(BigDecimal::from(i) / 4),
        born: NaiveDate::from_ymd_opt(1990, 1, i as u32 + 1),
        city: Some(if i % 2 == 0 { "Paris" } else { "Rome" }.into()),
        ..New::default()
    }
}

fn state<T>(result: QueryResult<T>) -> String {
    match result {
        Ok(_) => "no error".into(),
        Err(Error::DatabaseError(kind, about)) => format!("{kind:?} {:?}", about.constraint_name()),
        Err(error) => format!("{error:?}"),
    }
}

fn migrate(connection: &mut PgConnection) -> Done {
    let folder = migrations("diesel");
    let files = FileBasedMigrations::from_path(folder.path())?;
    show("migrated", connection.run_pending_migrations(files.clone())?);
    show("taken back", connection.revert_all_migrations(files.clone())?);
    show("again", connection.run_pending_migrations(files)?);
    Ok(())
}

fn seed(connection: &mut PgConnection) -> Done {
    let ada = New {
        email: "Ada@example.com".into(),
        name: Some("Ada O'Lovelace".into()),
        age: Some(36),
        balance: Some(BigDecimal::from_str("12.50")?),
        born: NaiveDate::from_ymd_opt(1815, 12, 10),
        tags: Some(vec![Some("math".into()), None, Some("poet".into())]),
        settings: Some(json!({"theme": ["dark", null, 1.5]})),
        active: Some(true),
        city: Some("London".into()),
    };
    show("created", diesel::insert_into(customers::table).values(&ada).get_result::<Customer>(connection)?);
    let many: Vec<New> = (0..20).map(person).collect();
    let inserted = diesel::insert_into(customers::table).values(&many).returning(customers::email);
    show("many", inserted.get_results::<String>(connection)?.len());
    let copied: Vec<_> = (1..6)
        .map(|i| NewOrder { customer_id: i, item: format!("item {i}"), card: (i != 5).then(|| format!("420{i}")) })
        .collect();
    show("copied", diesel::copy_from(orders::table).from_insertable(&copied).execute(connection)?);
    let raw = diesel::copy_from(customers::table).from_raw_data((customers::email, customers::age), |copy| {
        for i in 0..5 {
            writeln!(copy, "bulk{i}@example.com,{i}").map_err(|e| Error::SerializationError(e.into()))?;
        }
        Ok::<_, Error>(())
    });
    show("raw", raw.with_format(CopyFormat::Csv).execute(connection)?);
    Ok(())
}

fn queries(connection: &mut PgConnection) -> Done {
    use customers::columns::*;
    macro_rules! by {
        ($label:literal, $filter:expr) => {
            show($label, customers::table.filter($filter).order(id).select(email).load::<String>(connection)?)
        };
    }
    for _ in 0..3 {
        by!("equal", email.eq("Ada@example.com"));
    }
    by!("any", email.eq_any(["user01@example.com", "none"]));
    by!("all", email.ne_all(["user19@example.com"]).and(age.gt(36)));
    by!("none", email.eq_any(Vec::<String>::new()));
    by!("not", not(age.lt(38)));
    by!("null", name.is_null());
    by!("distinct from", age.is_not_distinct_from(None::<i32>).or(age.is_distinct_from(Some(22)).and(age.lt(24))));
    by!("between", age.between(22, 25));
    by!("date", born.lt(NaiveDate::from_ymd_opt(1990, 1, 3)));
    by!("number", balance.ge(BigDecimal::from_str("4.5")?));
    by!("bool", active.eq(true));
    by!("like", email.like("user0%"));
    by!("ilike", email.ilike("%USER1%"));
    by!("not like", email.not_like("user%"));
    by!("lower", lower(email).eq("ada@example.com"));
    by!("tags", tags.contains(vec!["math"]));
    by!("overlaps", tags.overlaps_with(vec![Some("poet"), Some("none")]));
    let mut boxed = customers::table.into_boxed().filter(age.is_not_null());
    for part in ["user", "1"] {
        boxed = boxed.filter(email.like(format!("%{part}%")));
    }
    show(
        "boxed",
        boxed.or_filter(city.eq("London")).order((name.desc(), id)).select(email).load::<String>(connection)?,
    );
    for offset in [0, 8, 16] {
        let page = customers::table.order((name.asc().nulls_last(), id)).select((name, email)).limit(8).offset(offset);
        show("page", page.load::<(Option<String>, String)>(connection)?);
    }
    show("find", customers::table.find(1).first::<Customer>(connection)?);
    show(
        "exists",
        diesel::select(exists(customers::table.filter(email.eq("user03@example.com"))))
            .get_result::<bool>(connection)?,
    );
    show("optional", customers::table.filter(email.eq("nobody")).first::<Customer>(connection).optional()?.is_none());
    type Extremes = (Option<i32>, Option<NaiveDate>, i64, i64);
    show(
        "extremes",
        customers::table
            .select((min(age), max(born), count_star(), count(name).aggregate_distinct()))
            .first::<Extremes>(connection)?,
    );
    show(
        "sums",
        customers::table
            .select((sum(age), avg(balance), count(phone)))
            .first::<(Option<i64>, Option<BigDecimal>, i64)>(connection)?,
    );
    let groups = customers::table.group_by(name).having(count_star().gt(2)).select((name, count_star())).order(name);
    show("groups", groups.load::<(Option<String>, i64)>(connection)?);
    show("distinct", customers::table.select(name).distinct().order(name).load::<Option<String>>(connection)?);
    let newest =
        customers::table.distinct_on(name).filter(name.is_not_null()).order((name, born.desc())).select((name, email));
    show("distinct on", newest.load::<(Option<String>, String)>(connection)?);
    let rows = customers::table.filter(age.lt(23)).order(age).select(age);
    let rows = rows.load_iter::<Option<i32>, PgRowByRowLoadingMode>(connection)?;
    show("streamed", rows.collect::<QueryResult<Vec<_>>>()?);
    let union =
        customers::table.select(email).filter(age.lt(21)).union(customers::table.select(email).filter(age.gt(38)));
    show("union", sorted(union.load::<String>(connection)?));
    Ok(())
}

fn sorted<T: Ord>(mut rows: Vec<T>) -> Vec<T> {
    rows.sort();
    rows
}

fn relations(connection: &mut PgConnection) -> Done {
    let joined = orders::table.inner_join(customers::table).filter(orders::card.eq("4203"));
    show("join", joined.select((customers::email, orders::item)).load::<(String, String)>(connection)?);
    let left =
        customers::table.left_join(orders::table).filter(customers::age.lt(26)).order((customers::age, orders::id));
    show(
        "left join",
        left.select((customers::email, orders::card.nullable())).load::<(String, Option<String>)>(connection)?,
    );
    let some = customers::table.filter(customers::id.le(3)).order(customers::id).load::<Customer>(connection)?;
    let theirs = Order::belonging_to(&some).order(orders::id).load::<Order>(connection)?;
    let theirs = theirs.grouped_by(&some);
    show("grouped", some.iter().zip(theirs).map(|(c, o)| (c.email.clone(), o)).collect::<Vec<_>>());
    let buyers = orders::table.filter(orders::card.eq_any(["4202", "4203"])).select(orders::customer_id);
    let buyers = customers::table.filter(customers::id.eq_any(buyers)).order(customers::id);
    show("subquery", buyers.select(customers::email).load::<String>(connection)?);
    let (first, second) = diesel::alias!(customers as first, customers as second);
    let pairs = first.inner_join(second.on(first.field(customers::name).eq(second.field(customers::name))));
    let pairs = pairs.filter(first.field(customers::id).lt(second.field(customers::id)));
    show("pairs", pairs.count().get_result::<i64>(connection)?);
    // Diesel leaves the end of a COPY unread, and so takes no other statement on its connection.
    let mut own = PgConnection::establish(&url())?;
    let copied = diesel::copy_to(orders::table).load::<Order, _>(&mut own)?;
    show("copied out", copied.collect::<QueryResult<Vec<_>>>()?);
    let mut text = String::new();
    let mut own = PgConnection::establish(&url())?;
    let mut copied = diesel::copy_to(customers::table).with_format(CopyFormat::Csv).load_raw(&mut own)?;
    copied.read_to_string(&mut text)?;
    show("copied as text", text);
    Ok(())
}

fn writes(connection: &mut PgConnection) -> Done {
    use customers::columns::*;
    let mut ada = customers::table.filter(email.eq("Ada@example.com")).first::<Customer>(connection)?;
    (ada.name, ada.age, ada.tags) = (Some("Ada King".into()), Some(37), Some(vec![None]));
    show("saved", ada.save_changes::<Customer>(connection)?);
    let update =
        diesel::update(customers::table.filter(name.eq("User 2"))).set((active.eq(false), phone.eq(None::<String>)));
    show("updated", update.execute(connection)?);
    let rows = [(email.eq("bulk1@example.com"), age.eq(70)), (email.eq("new@example.com"), age.eq(71))];
    let upsert =
        diesel::insert_into(customers::table).values(&rows).on_conflict(email).do_update().set(age.eq(excluded(age)));
    show("upsert", sorted(upsert.returning((email, age)).get_results::<(String, Option<i32>)>(connection)?));
    let ignored = diesel::insert_into(customers::table).values(email.eq("new@example.com"));
    show("ignored", ignored.on_conflict(on_constraint("customers_email_key")).do_nothing().execute(connection)?);
    let deleted = diesel::delete(customers::table.filter(email.eq_any(["bulk4@example.com", "user19@example.com"])));
    show("deleted", deleted.returning(age).get_results::<Option<i32>>(connection)?.len());
    Ok(())
}

fn new(connection: &mut PgConnection, address: Option<&str>) -> QueryResult<usize> {
    diesel::sql_query("INSERT INTO customers (email) VALUES ($1)")
        .bind::<Nullable<Text>, _>(address)
        .execute(connection)
}

fn failures(connection: &mut PgConnection) -> Done {
    connection.transaction(|outer| {
        new(outer, Some("kept@example.com"))?;
        let inner = outer.transaction(|inner| {
            let duplicate = new(inner, Some("Ada@example.com"));
            show("failed", state(diesel::sql_query("SELECT 1").execute(inner)));
            duplicate
        });
        show("duplicate", state(inner));
        Ok::<_, Error>(())
    })?;
    let lost = connection.transaction(|outer| {
        new(outer, Some("lost@example.com"))?;
        Err::<(), _>(Error::RollbackTransaction)
    });
    show("rolled back", state(lost));
    show("null", state(new(connection, None)));
    show("bad value", state(diesel::sql_query("SELECT id FROM customers WHERE age = 'old'").execute(connection)));
    let locked = connection.build_transaction().serializable().run(|inner| {
        let ada = customers::table.filter(customers::email.eq("Ada@example.com")).for_update();
        ada.select(customers::age).first::<Option<i32>>(inner)
    });
    show("locked", locked?);
    let twice = diesel::insert_into(customers::table).values(vec![person(0)]).execute(connection);
    show("twice", matches!(twice, Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _))));
    let kept = customers::table.filter(customers::email.eq_any(["kept@example.com", "lost@example.com"]));
    show("kept", kept.select(customers::email).load::<String>(connection)?);
    Ok(())
}

/// Some of what `diesel print-schema` reads.
mod catalogs {
    diesel::table! {
        information_schema.columns (table_schema, table_name, column_name) {
            table_schema -> Text,
            table_name -> Text,
            column_name -> Text,
            ordinal_position -> BigInt,
            udt_schema -> Nullable<Text>,
            udt_name -> Text,
            domain_name -> Nullable<Text>,
            #[sql_name = "is_nullable"]
            may_be_null -> Text,
            character_maximum_length -> Nullable<Integer>,
        }
    }

    diesel::table! {
        information_schema.key_column_usage (table_schema, table_name, column_name) {
            table_schema -> Text,
            table_name -> Text,
            column_name -> Text,
            constraint_name -> Text,
            ordinal_position -> BigInt,
        }
    }

    diesel::table! {
        information_schema.table_constraints (table_schema, table_name, constraint_name) {
            table_schema -> Text,
            table_name -> Text,
            constraint_name -> Text,
            constraint_type -> Text,
        }
    }

    diesel::allow_tables_to_appear_in_same_query!(key_column_usage, table_constraints);
}

fn reflection() -> Done {
    use catalogs::{columns, key_column_usage, table_constraints};
    let pool = Pool::builder().max_size(1).build(ConnectionManager::<PgConnection>::new(plain_url()))?;
    let mut connection = pool.get()?;
    for table in ["customers", "orders", "notes"] {
        let query = columns::table.filter(columns::table_name.eq(table)).filter(columns::table_schema.eq("public"));
        let query = query.order(columns::ordinal_position).select((
            columns::column_name,
            columns::udt_schema,
            columns::udt_name,
            columns::domain_name,
            columns::may_be_null,
            columns::character_maximum_length,
            sql::<Nullable<Text>>("col_description(quote_ident(")
                .bind::<Text, _>(table)
                .sql(")::regclass, ordinal_position)"),
        ));
        type Column = (String, Option<String>, String, Option<String>, String, Option<i32>, Option<String>);
        show(table, query.load::<Column>(&mut connection)?);
        for kind in ["PRIMARY KEY", "UNIQUE", "FOREIGN KEY"] {
            let names = table_constraints::table.filter(table_constraints::constraint_type.eq(kind));
            let keys = key_column_usage::table
                .filter(key_column_usage::constraint_name.eq_any(names.select(table_constraints::constraint_name)))
                .filter(key_column_usage::table_name.eq(table))
                .filter(key_column_usage::table_schema.eq("public"));
            let keys = keys.order((key_column_usage::constraint_name, key_column_usage::ordinal_position));
            let keys = keys.select((key_column_usage::constraint_name, key_column_usage::column_name));
            show(kind, keys.load::<(String, String)>(&mut connection)?);
        }
    }
    Ok(())
}

fn main() -> Done {
    let mut connection = PgConnection::establish(&url())?;
    migrate(&mut connection)?;
    seed(&mut connection)?;
    queries(&mut connection)?;
    relations(&mut connection)?;
    writes(&mut connection)?;
    failures(&mut connection)?;
    reflection()?;
    println!("done");
    Ok(())
}
