-- AlterTable
ALTER TABLE "Customer" ADD COLUMN     "phone" seal.text_search;

-- CreateIndex
CREATE UNIQUE INDEX "Customer_city_phone_key" ON "Customer"("city", "phone");
