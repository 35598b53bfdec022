ALTER TABLE "customers" ADD COLUMN "phone" seal.text_search;
--> statement-breakpoint
CREATE INDEX "customers_city_phone_idx" ON "customers" USING btree ("city","phone");
