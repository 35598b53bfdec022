import os

import sqlalchemy as sa
from alembic import op

revision, down_revision = "002", "001"


def upgrade():
    # By SQL, as any migration may.
    kind = "seal.text_search" if os.environ.get("SEALED") else "text"
    op.execute(f"ALTER TABLE customers ADD COLUMN phone {kind}")
    op.create_index("ix_customers_city_phone", "customers", ["city", "phone"])


def downgrade():
    op.drop_index("ix_customers_city_phone", "customers")
    op.drop_column("customers", "phone")
