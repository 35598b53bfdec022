"""Django over psycopg: fields with a type of their own for the column, migrations by Django."""

import datetime as dt
import decimal
import io
import os
import sys
import urllib.parse

import django
from django.conf import settings

url = urllib.parse.urlparse(os.environ["DATABASE_URL"])
database = {"ENGINE": "django.db.backends.postgresql", "HOST": url.hostname, "PORT": url.port, "USER": url.username, "NAME": url.path[1:],
            "PASSWORD": urllib.parse.unquote(url.password or "")}
options = {"options": "-c columnseal.introspection=plain"}
settings.configure(
    DATABASES={
        "default": database,
        "bound": {**database, "OPTIONS": {"server_side_binding": True}},
        "plain": {**database, "OPTIONS": options},
    },
    INSTALLED_APPS=["shop"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()

from django.core.management import call_command
from django.db import DataError, IntegrityError, connections, transaction
from django.db.models import Count, F, Max, Min, Prefetch, Q, Value
from django.db.models.functions import Coalesce
from shop.models import Customer, Order

utc = dt.timezone.utc


def show(label, value):
    print(label, repr(value), flush=True)


def command(*args, **kwargs):
    out = io.StringIO()
    call_command(*args, stdout=out, no_color=True, **kwargs)
    return out.getvalue()


def seed():
    ada = Customer.objects.create(email="Ada@example.com", name="Ada Lovelace", age=36, balance=decimal.Decimal("12.50"),
                                  born=dt.date(1815, 12, 10), seen=dt.datetime(2024, 2, 29, 23, 59, 59, 999999, utc),
                                  settings={"theme": ["dark", None, 1.5]}, city="London", phone="+44 1")
    show("id", ada.pk)
    made = Customer.objects.bulk_create(
        Customer(email=f"user{i:02}@example.com", name=f"User {i % 7}", age=20 + i, balance=decimal.Decimal(i) / 4,
                 born=dt.date(1990, 1, 1) + dt.timedelta(days=i), city=["Paris", "Rome"][i % 2]) for i in range(20))
    show("made", len(made))
    ada.orders.create(item="engine", card="4111")
    Order.objects.bulk_create([Order(customer_id=i, item=f"item {i}", card=f"42{i:02}") for i in range(2, 8)])
    show("row", Customer.objects.values().get(pk=1))


def queries(using):
    rows = Customer.objects.using(using).order_by("pk")
    by = lambda *args, **kwargs: list(rows.filter(*args, **kwargs).values_list("email", flat=True))
    show("exact", by(email="Ada@example.com"))
    show("in", by(email__in=["user01@example.com", "user02@example.com", "none"]))
    show("exclude", rows.exclude(email="user01@example.com").count())
    show("null", len(by(phone__isnull=True)))
    show("range", by(age__range=(22, 25)))
    show("date", by(born__lt=dt.date(1990, 1, 3)))
    show("decimal", by(balance__gte=decimal.Decimal("4.50")))
    show("iexact", by(email__iexact="ADA@EXAMPLE.COM"))
    show("icontains", by(email__icontains="USER1"))
    show("contains", by(email__contains="user1"))
    show("startswith", by(email__startswith="user0"))
    show("istartswith", by(email__istartswith="ADA"))
    show("endswith", len(by(email__endswith=".com")))
    show("or", by(Q(age=36) | Q(name="User 3")))
    show("not", rows.filter(~Q(name="User 3")).count())
    show("seen", by(seen=dt.datetime(2024, 2, 29, 23, 59, 59, 999999, utc)))
    page = rows.order_by(F("name").asc(nulls_last=True), "pk").values_list("name", "email")
    for offset in (0, 8, 16):
        show("page", list(page[offset:offset + 8]))
    show("desc", list(rows.order_by("-age").values_list("age", flat=True)[:3]))
    show("extremes", rows.aggregate(Min("age"), Max("born"), Count("name", distinct=True)))
    show("groups", list(rows.order_by("name").values("name").annotate(n=Count("pk")).values_list("name", "n")))
    show("distinct", sorted(rows.order_by().values_list("name", flat=True).distinct()))
    show("exists", rows.filter(email="user03@example.com").exists())
    show("first", rows.order_by("-born").first().email)
    show("default", list(rows.annotate(p=Coalesce("phone", "email")).values_list("p", flat=True)[:2]))
    show("iterator", sum(1 for _ in rows.iterator(chunk_size=7)))
    show("in bulk", sorted(Customer.objects.using(using).in_bulk(["Ada@example.com"], field_name="email")))


def relations():
    show("join", list(Order.objects.filter(customer__email="Ada@example.com").values_list("item", "card", "customer__name")))
    show("by card", list(Customer.objects.filter(orders__card="4203").values_list("email", flat=True)))
    found = Customer.objects.prefetch_related(Prefetch("orders", Order.objects.order_by("pk"))).filter(age__lt=25).order_by("age")
    show("prefetch", [(c.email, [o.card for o in c.orders.all()]) for c in found])
    show("select related", [(o.card, o.customer.email) for o in Order.objects.select_related("customer").order_by("pk")[:2]])
    show("subquery", sorted(Customer.objects.filter(pk__in=Order.objects.filter(card__isnull=False).values("customer")).values_list("email", flat=True)))
    counted = Customer.objects.annotate(n=Count("orders")).filter(n__gt=0).order_by("pk").values_list("email", "n")
    show("counted", list(counted))


def writes():
    ada = Customer.objects.get(email="Ada@example.com")
    ada.name, ada.age = "Ada King", 37
    ada.save()
    show("saved", Customer.objects.values_list("name", "age").get(pk=ada.pk))
    show("update", Customer.objects.filter(name="User 2").update(phone=None, name="Renamed"))
    chosen = list(Customer.objects.filter(age__lt=23).order_by("pk"))
    for customer in chosen:
        customer.age += 100
    show("bulk update", Customer.objects.bulk_update(chosen, ["age"]))
    show("updated", list(Customer.objects.filter(age__gt=100).order_by("pk").values_list("age", flat=True)))
    show("get or create", Customer.objects.get_or_create(email="new@example.com", defaults={"age": 1})[1])
    show("again", Customer.objects.get_or_create(email="new@example.com", defaults={"age": 1})[1])
    show("update or create", Customer.objects.update_or_create(email="new@example.com", defaults={"age": 2})[0].age)
    rows = [Customer(email="new@example.com", age=3), Customer(email="newer@example.com", age=4)]
    Customer.objects.bulk_create(rows, update_conflicts=True, unique_fields=["email"], update_fields=["age"])
    show("upsert", list(Customer.objects.filter(email__startswith="new").order_by("age").values_list("email", "age")))
    Customer.objects.bulk_create([Customer(email="new@example.com", age=9)], ignore_conflicts=True)
    show("ignored", Customer.objects.get(email="new@example.com").age)
    show("deleted", Customer.objects.filter(email__in=["newer@example.com", "user19@example.com"]).delete())


def failures():
    with transaction.atomic():
        Customer.objects.create(email="kept@example.com")
        try:
            with transaction.atomic():
                Customer.objects.create(email="Ada@example.com")
        except IntegrityError as error:
            show("duplicate", (error.__cause__.sqlstate, error.__cause__.diag.constraint_name.startswith("shop_customer_email")))
    try:
        with transaction.atomic():
            Customer.objects.create(email="lost@example.com")
            Customer.objects.create(email=None)
    except IntegrityError as error:
        show("null", error.__cause__.sqlstate)
    try:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM shop_customer WHERE age = %s", ["old"])
    except DataError as error:
        show("bad value", error.__cause__.sqlstate)
    show("kept", sorted(Customer.objects.filter(email__in=["kept@example.com", "lost@example.com"]).values_list("email", flat=True)))


def reflection():
    show("inspectdb", command("inspectdb", "shop_customer", "shop_order", database="plain"))
    seen = connections["plain"].introspection
    with connections["plain"].cursor() as cursor:
        for table in ("shop_customer", "shop_order"):
            show("described", [(f.name, seen.get_field_type(f.type_code, f), f.null_ok) for f in seen.get_table_description(cursor, table)])
            # Django gives plain text columns a second index for LIKE.
            for name, found in sorted(seen.get_constraints(cursor, table).items()):
                if not name.endswith("_like"):
                    show("constraint", (name.split("_")[:3], sorted(found.items())))
            show("primary", seen.get_primary_key_columns(cursor, table))
            show("relations", seen.get_relations(cursor, table))


def main():
    show("migrated", [line.strip() for line in command("migrate").splitlines() if "..." in line])
    show("to make", command("makemigrations", "--check", "--dry-run"))
    seed()
    queries("default")
    queries("bound")
    relations()
    writes()
    failures()
    reflection()
    print("done")


main()
