"""SQLAlchemy 2 over psycopg and asyncpg, tables by Alembic. Models have plain types; the migrations say which columns are encrypted."""

import asyncio
import datetime as dt
import decimal
import os
import pathlib

import alembic.command
import alembic.config
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import ForeignKey, Index, MetaData, Numeric, String, Text, bindparam, create_engine, func, inspect, or_, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload, joinedload

HERE = pathlib.Path(__file__).parent
URL = os.environ["DATABASE_URL"].replace("postgres://", "postgresql+psycopg://").replace("postgresql://", "postgresql+psycopg://")


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str | None] = mapped_column(String)
    age: Mapped[int | None]
    balance: Mapped[decimal.Decimal | None] = mapped_column(Numeric)
    born: Mapped[dt.date | None]
    tags: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    note: Mapped[str | None] = mapped_column(Text)
    city: Mapped[str | None] = mapped_column(Text)
    phone: Mapped[str | None] = mapped_column(Text)
    orders: Mapped[list["Order"]] = relationship(back_populates="customer", order_by="Order.id")
    __table_args__ = (Index("ix_customers_name", "name"), Index("ix_customers_city_phone", "city", "phone"))


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    item: Mapped[str] = mapped_column(Text)
    card: Mapped[str | None] = mapped_column(Text)
    customer: Mapped[Customer] = relationship(back_populates="orders")


def show(label, value):
    print(label, repr(value), flush=True)


def state(error):
    return (type(error).__name__, error.orig.sqlstate)


def migrate():
    config = alembic.config.Config()
    config.set_main_option("script_location", str(HERE / "migrations"))
    config.set_main_option("sqlalchemy.url", URL.replace("%", "%%"))
    alembic.command.upgrade(config, "001")
    alembic.command.upgrade(config, "head")


def seed(session):
    ada = Customer(email="Ada@example.com", name="Ada Lovelace", age=36, balance=decimal.Decimal("12.50"), born=dt.date(1815, 12, 10),
                   tags=["math", "poet"], note="first", city="London", phone="+44 1")
    ada.orders = [Order(item="engine", card="4111"), Order(item="loom", card=None)]
    session.add(ada)
    session.commit()
    show("id", ada.id)
    session.add_all(Customer(email=f"user{i:02}@example.com", name=f"User {i % 7}", age=20 + i, balance=decimal.Decimal(i) / 4,
                             born=dt.date(1990, 1, 1) + dt.timedelta(days=i), city=["Paris", "Rome"][i % 2]) for i in range(20))
    session.commit()
    rows = [{"email": f"bulk{i}@example.com", "age": i, "city": "Oslo"} for i in range(5)]
    show("bulk", sorted(session.scalars(insert(Customer).returning(Customer.email), rows)))
    session.execute(insert(Order), [{"customer_id": i, "item": f"item {i}", "card": f"42{i:02}"} for i in range(2, 8)])
    session.commit()


def queries(session):
    by = lambda *where: [c.email for c in session.scalars(select(Customer).where(*where).order_by(Customer.id))]
    show("equal", by(Customer.email == "Ada@example.com"))
    show("in", by(Customer.email.in_(["user01@example.com", "user02@example.com", "none"])))
    show("not in", len(by(Customer.email.not_in(["user01@example.com"]))))
    show("null", len(by(Customer.name.is_(None))))
    show("range", by(Customer.age.between(22, 25)))
    show("date", by(Customer.born < dt.date(1990, 1, 3)))
    show("number", by(Customer.balance >= decimal.Decimal("4.5")))
    show("ilike", by(Customer.email.ilike("%USER1%")))
    show("icontains", by(Customer.email.icontains("ADA@")))
    show("contains", by(Customer.email.contains("bulk")))
    show("startswith", by(Customer.email.startswith("user0")))
    show("lower", by(func.lower(Customer.email) == "ada@example.com"))
    show("or", by(or_(Customer.age == 36, Customer.name == "User 3")))
    show("any", by(Customer.tags.contains(["math"])))
    show("array", by(Customer.tags.contains(["poet"])))
    page = select(Customer.name, Customer.email).order_by(Customer.name.nulls_last(), Customer.id)
    for offset in (0, 8, 16):
        show("page", [tuple(row) for row in session.execute(page.limit(8).offset(offset))])
    show("desc", [c.age for c in session.scalars(select(Customer).order_by(Customer.age.desc()).limit(3))])
    show("count", session.scalar(select(func.count()).select_from(Customer).where(Customer.name == "User 1")))
    show("extremes", tuple(session.execute(select(func.min(Customer.age), func.max(Customer.born))).one()))
    show("groups", [tuple(r) for r in session.execute(select(Customer.name, func.count()).group_by(Customer.name).order_by(Customer.name))])
    show("distinct", sorted(n or "" for n in session.scalars(select(Customer.name).distinct())))
    show("get", session.get(Customer, 1).name)
    show("exists", session.scalar(select(select(Customer).where(Customer.email == "bulk1@example.com").exists())))


def relations(session):
    joined = select(Order.item, Customer.email).join(Order.customer).where(Order.card == "4111")
    show("join", [tuple(row) for row in session.execute(joined)])
    for load in (selectinload, joinedload):
        found = session.scalars(select(Customer).options(load(Customer.orders)).where(Customer.email == "Ada@example.com")).unique().all()
        show(load.__name__, [(c.email, [(o.item, o.card) for o in c.orders]) for c in found])
    having = select(Customer.email, func.count(Order.id)).outerjoin(Customer.orders).group_by(Customer.id, Customer.email).having(func.count(Order.id) > 1)
    show("having", [tuple(row) for row in session.execute(having)])
    newest = select(Order.customer_id).where(Order.card.is_not(None)).scalar_subquery()
    show("subquery", sorted(session.scalars(select(Customer.email).where(Customer.id.in_(newest)))))


def writes(session):
    ada = session.scalars(select(Customer).where(Customer.email == "Ada@example.com")).one()
    ada.name, ada.age = "Ada King", ada.age + 1
    session.commit()
    show("changed", session.execute(text("SELECT name, age FROM customers WHERE id = :id"), {"id": ada.id}).one())
    show("many", session.execute(update(Customer).where(Customer.city == "Oslo").values(name="Norse")).rowcount)
    session.connection().execute(update(Customer).where(Customer.email == bindparam("e")).values(phone=bindparam("p")),
                                 [{"e": f"bulk{i}@example.com", "p": f"+47 {i}"} for i in range(3)])
    session.commit()
    show("phones", sorted(session.scalars(select(Customer.phone).where(Customer.phone.like("+47%")))))
    upsert = insert(Customer).values([{"email": "bulk1@example.com", "age": 70}, {"email": "new@example.com", "age": 71}])
    upsert = upsert.on_conflict_do_update(index_elements=[Customer.email], set_={"age": upsert.excluded.age})
    show("upsert", sorted(session.execute(upsert.returning(Customer.email, Customer.age)).all()))
    ignored = insert(Customer).values(email="new@example.com").on_conflict_do_nothing(constraint="customers_email_key")
    show("ignored", session.execute(ignored).rowcount)
    session.commit()
    session.delete(session.scalars(select(Customer).where(Customer.email == "bulk4@example.com")).one())
    session.commit()
    show("left", session.scalar(select(func.count()).select_from(Customer)))


def failures(engine):
    with Session(engine) as session:
        session.add(Customer(email="kept@example.com"))
        session.flush()
        try:
            with session.begin_nested():
                session.add(Customer(email="Ada@example.com"))
                session.flush()
        except IntegrityError as error:
            show("duplicate", (state(error), error.orig.diag.constraint_name))
        session.commit()
        try:
            session.execute(text("INSERT INTO customers (email, age) VALUES (:e, :a)"), {"e": "x@example.com", "a": "old"})
        except DataError as error:
            show("bad value", state(error))
        session.rollback()
        try:
            session.add(Customer(email=None))
            session.commit()
        except IntegrityError as error:
            show("null", state(error))
        session.rollback()
        show("kept", session.scalar(select(Customer.id).where(Customer.email == "kept@example.com")) is not None)
        show("lost", session.scalar(select(Customer.id).where(Customer.email == "x@example.com")))


def reflection():
    engine = create_engine(URL, connect_args={"options": "-c columnseal.introspection=plain"})
    with engine.connect() as connection:
        seen = inspect(connection)
        for table in sorted(seen.get_table_names()):
            show(table, [(c["name"], str(c["type"]), c["nullable"]) for c in seen.get_columns(table)])
            show("key", seen.get_pk_constraint(table))
            show("unique", seen.get_unique_constraints(table))
            show("foreign", [(k["name"], k["constrained_columns"], k["referred_table"]) for k in seen.get_foreign_keys(table)])
            show("indexes", [{k: v for k, v in i.items() if k != "dialect_options"} for i in seen.get_indexes(table)])
        metadata = MetaData()
        metadata.reflect(connection)
        show("reflected", {name: [f"{c.name} {c.type!r}" for c in table.columns] for name, table in sorted(metadata.tables.items())})
        show("primary", {name: [c.name for c in table.primary_key] for name, table in sorted(metadata.tables.items())})
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        show("differences", compare_metadata(context, Base.metadata))
    with create_engine(URL).connect() as connection:
        connection.execute(text("SET columnseal.introspection = plain"))
        show("by sql", str(inspect(connection).get_columns("orders")[3]["type"]))
    return metadata


async def over_asyncpg():
    """The same over asyncpg, which declares the types of parameters."""
    engine = create_async_engine(URL.replace("+psycopg", "+asyncpg"))
    async with engine.connect() as connection:
        await connection.run_sync(lambda sync: queries(Session(sync)))
        await connection.run_sync(lambda sync: relations(Session(sync)))
    async with AsyncSession(engine) as session:
        session.add_all(Customer(email=f"async{i}@example.com", age=i, balance=decimal.Decimal("1.5"), born=dt.date(2000, 1, 1), tags=["x", None]) for i in range(3))
        await session.commit()
        found = await session.scalars(select(Customer).where(Customer.email.startswith("async")).order_by(Customer.age))
        show("async", [(c.email, c.balance, c.born, c.tags) for c in found])
    await engine.dispose()


def main():
    migrate()
    engine = create_engine(URL)
    with Session(engine) as session:
        seed(session)
        queries(session)
        relations(session)
        writes(session)
    failures(engine)
    asyncio.run(over_asyncpg())
    reflected = reflection().tables["customers"]
    with engine.connect() as connection:
        show("by reflection", [tuple(r) for r in connection.execute(select(reflected.c.email, reflected.c.born).where(reflected.c.age == 37))])
    print("done")


main()
