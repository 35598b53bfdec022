import os

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import UserDefinedType

revision, down_revision = "001", None


class Sealed(UserDefinedType):
    """An encrypted type; on the plain twin of the test, its plaintext type."""

    cache_ok = True

    def __init__(self, name, plain):
        self.name, self.plain = name, plain

    def get_col_spec(self, **_):
        return f"seal.{self.name}" if os.environ.get("SEALED") else self.plain


def upgrade():
    op.create_table(
        "customers",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("email", Sealed("text_search", "text"), nullable=False),
        sa.Column("name", Sealed("varchar_ord", "varchar")),
        sa.Column("age", Sealed("int4_ord", "integer")),
        sa.Column("balance", Sealed("numeric_ord", "numeric")),
        sa.Column("born", Sealed("date_ord", "date")),
        sa.Column("tags", Sealed("text_eq[]", "text[]")),
        sa.Column("note", Sealed("text", "text")),
        sa.Column("city", sa.Text),
        sa.UniqueConstraint("email", name="customers_email_key"),
    )
    op.create_index("ix_customers_name", "customers", ["name"])
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("customer_id", sa.Integer, sa.ForeignKey("customers.id"), nullable=False),
        sa.Column("item", sa.Text, nullable=False),
        sa.Column("card", Sealed("text_eq", "text")),
    )


def downgrade():
    op.drop_table("orders")
    op.drop_table("customers")
