// Drizzle over node-postgres: plain column types in the schema, encrypted ones in the migrations.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { failure, migrations, people, plainUrl, require, show, url } from '../common.mjs'

const pg = require('pg')
const { drizzle } = require('drizzle-orm/node-postgres')
const { migrate } = require('drizzle-orm/node-postgres/migrator')
const { relations, and, asc, between, count, desc, eq, gte, ilike, inArray, isNull, like, lt, max, min, ne, not, or, sql } = require('drizzle-orm')
const { date, index, integer, jsonb, numeric, pgTable, serial, text, timestamp } = require('drizzle-orm/pg-core')

const customers = pgTable('customers', {
  id: serial('id').primaryKey(),
  email: text('email').notNull().unique(),
  name: text('name'),
  age: integer('age'),
  balance: numeric('balance'),
  born: date('born'),
  seen: timestamp('seen', { withTimezone: true }),
  settings: jsonb('settings'),
  tags: text('tags').array(),
  city: text('city'),
  phone: text('phone'),
}, (table) => [index('customers_name_idx').on(table.name)])
const orders = pgTable('orders', {
  id: serial('id').primaryKey(),
  customerId: integer('customer_id').notNull().references(() => customers.id),
  item: text('item').notNull(),
  card: text('card'),
})
const customersRelations = relations(customers, ({ many }) => ({ orders: many(orders) }))
const ordersRelations = relations(orders, ({ one }) => ({ customer: one(customers, { fields: [orders.customerId], references: [customers.id] }) }))

const pool = new pg.Pool({ connectionString: url, max: 2 })
const db = drizzle(pool, { schema: { customers, orders, customersRelations, ordersRelations } })

async function seed() {
  const ada = { email: 'Ada@example.com', name: 'Ada Lovelace', age: 36, balance: '12.50', born: '1815-12-10', seen: new Date('2024-02-29T23:59:59.999Z'),
    settings: { theme: ['dark', null, 1.5] }, tags: ['math', 'poet'], city: 'London', phone: '+44 1' }
  show('inserted', await db.insert(customers).values(ada).returning())
  show('bulk', (await db.insert(customers).values(people).returning({ email: customers.email })).length)
  await db.insert(orders).values([{ customerId: 1, item: 'engine', card: '4111' }, { customerId: 1, item: 'loom' },
    ...[2, 3, 4, 5].map((i) => ({ customerId: i, item: `item ${i}`, card: `420${i}` }))])
}

async function queries() {
  const by = async (where) => (await db.select({ email: customers.email }).from(customers).where(where).orderBy(customers.id)).map((r) => r.email)
  show('equal', await by(eq(customers.email, 'Ada@example.com')))
  show('in', await by(inArray(customers.email, ['user01@example.com', 'user02@example.com', 'none'])))
  show('not equal', (await by(ne(customers.email, 'user01@example.com'))).length)
  show('null', (await by(isNull(customers.phone))).length)
  show('between', await by(between(customers.age, 22, 25)))
  show('date', await by(lt(customers.born, '1990-01-03')))
  show('numeric', await by(gte(customers.balance, '4.5')))
  show('ilike', await by(ilike(customers.email, '%USER1%')))
  show('like', await by(like(customers.email, 'user0%')))
  show('lower', await by(eq(sql`lower(${customers.email})`, 'ada@example.com')))
  show('or', await by(or(eq(customers.age, 36), eq(customers.name, 'User 3'))))
  show('not', (await by(and(not(eq(customers.name, 'User 3')), eq(customers.city, 'Rome')))).length)
  show('seen', await by(eq(customers.seen, new Date('2024-02-29T23:59:59.999Z'))))
  for (const offset of [0, 8, 16]) {
    const page = db.select({ name: customers.name, email: customers.email }).from(customers).orderBy(asc(customers.name), asc(customers.id))
    show('page', await page.limit(8).offset(offset))
  }
  show('desc', await db.select({ age: customers.age }).from(customers).orderBy(desc(customers.age)).limit(3))
  show('extremes', await db.select({ min: min(customers.age), max: max(customers.born), n: count(customers.name) }).from(customers))
  show('groups', await db.select({ name: customers.name, n: count() }).from(customers).groupBy(customers.name).orderBy(customers.name))
  show('$count', await db.$count(customers, eq(customers.name, 'User 1')))
  const find = db.select({ id: customers.id }).from(customers).where(eq(customers.email, sql.placeholder('email'))).prepare('find')
  for (let i = 0; i < 7; i++) show('prepared', await find.execute({ email: `user0${i}@example.com` }))
}

async function joined() {
  show('join', await db.select({ item: orders.item, email: customers.email }).from(orders).innerJoin(customers, eq(orders.customerId, customers.id)).where(eq(orders.card, '4111')))
  show('with', await db.query.customers.findMany({ where: eq(customers.email, 'Ada@example.com'), with: { orders: { columns: { item: true, card: true } } } }))
  show('one', await db.query.orders.findFirst({ where: eq(orders.card, '4203'), with: { customer: { columns: { email: true, name: true } } } }))
  const some = db.select({ id: orders.customerId }).from(orders).where(eq(orders.card, '4202'))
  show('subquery', await db.select({ email: customers.email }).from(customers).where(inArray(customers.id, some)))
}

async function writes() {
  show('update', await db.update(customers).set({ name: 'Ada King', age: 37 }).where(eq(customers.email, 'Ada@example.com')).returning({ name: customers.name, age: customers.age }))
  const rows = [{ email: 'user01@example.com', age: 70 }, { email: 'new@example.com', age: 71 }]
  const upsert = db.insert(customers).values(rows).onConflictDoUpdate({ target: customers.email, set: { age: sql`excluded.age` } })
  show('upsert', await upsert.returning({ email: customers.email, age: customers.age }))
  show('ignored', await db.insert(customers).values({ email: 'new@example.com' }).onConflictDoNothing().returning())
  show('deleted', await db.delete(customers).where(eq(customers.email, 'user19@example.com')).returning({ name: customers.name }))
}

async function failures() {
  show('transaction', await failure(db.transaction(async (tx) => {
    await tx.insert(customers).values({ email: 'lost@example.com' })
    show('inner', await failure(tx.transaction((inner) => inner.insert(customers).values({ email: 'Ada@example.com' }))))
    show('inside', (await tx.select().from(customers).where(eq(customers.email, 'lost@example.com'))).length)
    await tx.insert(customers).values({ email: 'Ada@example.com' })
  })))
  show('lost', await db.$count(customers, eq(customers.email, 'lost@example.com')))
  show('bad value', await failure(db.select().from(customers).where(eq(customers.age, 'old'))))
}

/** drizzle-kit writes the schema that it finds. */
function reflection() {
  const out = mkdtempSync(join(tmpdir(), 'columnseal-drizzle-'))
  const kit = join(dirname(require.resolve('drizzle-kit')), 'bin.cjs')
  execFileSync(process.execPath, [kit, 'introspect', '--dialect=postgresql', `--url=${plainUrl}`, `--out=${out}`, '--tablesFilter=customers,orders'],
    { stdio: ['ignore', 'ignore', 'inherit'], cwd: out })
  console.log(readFileSync(join(out, 'schema.ts'), 'utf8'))
  rmSync(out, { recursive: true })
}

await migrations(join(import.meta.dirname, 'migrations'), (folder) => migrate(db, { migrationsFolder: folder }))
await seed()
await queries()
await joined()
await writes()
await failures()
await pool.end()
reflection()
console.log('done')
