import django.db.models.deletion
from django.db import migrations, models

import shop.fields


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Customer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("email", shop.fields.SearchText(unique=True)),
                ("name", shop.fields.OrderedChar(db_index=True, max_length=100, null=True)),
                ("age", shop.fields.OrderedInteger(null=True)),
                ("balance", shop.fields.OrderedDecimal(decimal_places=2, max_digits=10, null=True)),
                ("born", shop.fields.OrderedDate(null=True)),
                ("seen", shop.fields.KeptTime(null=True)),
                ("settings", shop.fields.KeptJson(null=True)),
                ("city", models.TextField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Order",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("item", models.TextField()),
                ("card", shop.fields.EqualText(null=True)),
                ("customer", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="orders", to="shop.customer")),
            ],
        ),
    ]
