from django.db import migrations, models

import shop.fields


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.AddField("customer", "phone", shop.fields.SearchText(null=True)),
        migrations.AddConstraint("customer", models.UniqueConstraint(fields=("city", "phone"), name="one_phone_a_city")),
        migrations.AddIndex("customer", models.Index(fields=["age"], name="shop_by_age")),
    ]
