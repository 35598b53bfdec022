-- CreateTable
CREATE TABLE "Customer" (
    "id" SERIAL NOT NULL,
    "email" seal.text_search NOT NULL,
    "name" seal.text_ord,
    "age" seal.int4_ord,
    "balance" seal.numeric_ord,
    "born" seal.date_ord,
    "seen" seal.timestamptz_ord,
    "settings" seal.jsonb,
    "tags" seal.text_eq[],
    "active" seal.bool,
    "city" TEXT,

    CONSTRAINT "Customer_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Order" (
    "id" SERIAL NOT NULL,
    "customerId" INTEGER NOT NULL,
    "item" TEXT NOT NULL,
    "card" seal.text_eq,

    CONSTRAINT "Order_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "Customer_email_key" ON "Customer"("email");

-- CreateIndex
CREATE INDEX "Customer_name_idx" ON "Customer"("name");

-- AddForeignKey
ALTER TABLE "Order" ADD CONSTRAINT "Order_customerId_fkey" FOREIGN KEY ("customerId") REFERENCES "Customer"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
