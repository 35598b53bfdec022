CREATE TABLE "customers" (
	"id" serial PRIMARY KEY NOT NULL,
	"email" seal.text_search NOT NULL,
	"name" seal.text_ord,
	"age" seal.int4_ord,
	"balance" seal.numeric_ord,
	"born" seal.date_ord,
	"seen" seal.timestamptz_eq,
	"settings" seal.jsonb,
	"tags" seal.text_eq[],
	"city" text,
	CONSTRAINT "customers_email_unique" UNIQUE("email")
);
--> statement-breakpoint
CREATE TABLE "orders" (
	"id" serial PRIMARY KEY NOT NULL,
	"customer_id" integer NOT NULL,
	"item" text NOT NULL,
	"card" seal.text_eq
);
--> statement-breakpoint
ALTER TABLE "orders" ADD CONSTRAINT "orders_customer_id_customers_id_fk" FOREIGN KEY ("customer_id") REFERENCES "public"."customers"("id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
CREATE INDEX "customers_name_idx" ON "customers" USING btree ("name");
