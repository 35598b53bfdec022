"""Fields whose columns are encrypted: the field of the plaintext type, and the type of the column."""

import os

from django.db import models


def sealed(base, name):
    class Sealed(base):
        def db_type(self, connection):
            # Encrypted types have no lengths, so on the plain twin of the test there are none either.
            return f"seal.{name}" if os.environ.get("SEALED") else super().db_type(connection).split("(")[0]

    return Sealed


class SearchText(sealed(models.TextField, "text_search")):
    pass


class OrderedChar(sealed(models.CharField, "varchar_ord")):
    pass


class OrderedInteger(sealed(models.IntegerField, "int4_ord")):
    pass


class OrderedDecimal(sealed(models.DecimalField, "numeric_ord")):
    pass


class OrderedDate(sealed(models.DateField, "date_ord")):
    pass


class KeptTime(sealed(models.DateTimeField, "timestamptz_eq")):
    pass


class EqualText(sealed(models.TextField, "text_eq")):
    pass


class KeptJson(sealed(models.JSONField, "jsonb")):
    pass
