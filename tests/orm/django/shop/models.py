from django.db import models

from . import fields


class Customer(models.Model):
    email = fields.SearchText(unique=True)
    name = fields.OrderedChar(max_length=100, null=True, db_index=True)
    age = fields.OrderedInteger(null=True)
    balance = fields.OrderedDecimal(max_digits=10, decimal_places=2, null=True)
    born = fields.OrderedDate(null=True)
    seen = fields.KeptTime(null=True)
    settings = fields.KeptJson(null=True)
    city = models.TextField(null=True)
    phone = fields.SearchText(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["city", "phone"], name="one_phone_a_city")]
        indexes = [models.Index(fields=["age"], name="shop_by_age")]


class Order(models.Model):
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="orders")
    item = models.TextField()
    card = fields.EqualText(null=True)
