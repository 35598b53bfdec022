// Prisma 7 with the adapter for node-postgres. Its migrations are SQL, which is run here as `prisma migrate deploy` runs it: the CLI's engine is no npm package.
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { failure as failed, people, require, sealed, show, url } from '../common.mjs'

const pg = require('pg')
const { PrismaPg } = require('@prisma/adapter-pg')
const { PrismaClient, Prisma } = await import(pathToFileURL(join(dirname(process.env.NODE_MODULES_OF), 'prisma/client.mjs')))

const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: url, max: 3 }) })
const { customer, order } = prisma
const failure = async (promise) => {
  const [name, code] = await failed(promise)
  return [name, code]
}

async function migrate() {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const folder = join(import.meta.dirname, 'migrations')
  for (const name of readdirSync(folder).sort()) await client.query(sealed(readFileSync(join(folder, name, 'migration.sql'), 'utf8')))
  await client.end()
}

async function seed() {
  const ada = { email: 'Ada@example.com', name: 'Ada Lovelace', age: 36, balance: '12.50', born: new Date('1815-12-10'), seen: new Date('2024-02-29T23:59:59.999Z'),
    settings: { theme: ['dark', null, 1.5] }, tags: ['math', 'poet'], active: true, city: 'London', phone: '+44 1',
    orders: { create: [{ item: 'engine', card: '4111' }, { item: 'loom' }] } }
  show('created', await customer.create({ data: ada, include: { orders: true } }))
  const rows = people.map((p) => ({ ...p, born: new Date(p.born) }))
  show('many', await customer.createMany({ data: rows }))
  show('returned', (await order.createManyAndReturn({ data: [2, 3, 4, 5].map((i) => ({ customerId: i, item: `item ${i}`, card: `420${i}` })), select: { card: true } })))
}

async function queries() {
  const by = async (where) => (await customer.findMany({ where, orderBy: { id: 'asc' }, select: { email: true } })).map((c) => c.email)
  show('unique', await customer.findUnique({ where: { email: 'Ada@example.com' }, select: { id: true, name: true } }))
  show('equal', await by({ name: 'User 3' }))
  show('in', await by({ email: { in: ['user01@example.com', 'user02@example.com', 'none'] } }))
  show('not in', (await by({ email: { notIn: ['user01@example.com'] } })).length)
  show('not', (await by({ email: { not: 'user01@example.com' } })).length)
  show('null', (await by({ phone: null })).length)
  show('range', await by({ age: { gte: 22, lt: 25 } }))
  show('date', await by({ born: { lt: new Date('1990-01-03') } }))
  show('decimal', await by({ balance: { gte: '4.5' } }))
  show('contains', await by({ email: { contains: 'ser1' } }))
  show('insensitive', await by({ email: { contains: 'USER1', mode: 'insensitive' } }))
  show('equals', await by({ email: { equals: 'ada@EXAMPLE.com', mode: 'insensitive' } }))
  show('starts', await by({ email: { startsWith: 'user0' } }))
  show('ends', (await by({ email: { endsWith: '.com' } })).length)
  show('or', await by({ OR: [{ age: 36 }, { name: 'User 3' }] }))
  show('nor', (await by({ NOT: [{ name: 'User 3' }] })).length)
  show('has', await by({ tags: { has: 'math' } }))
  show('has every', await by({ tags: { hasEvery: ['math', 'poet'] } }))
  for (const skip of [0, 8, 16]) {
    show('page', await customer.findMany({ orderBy: [{ name: 'asc' }, { id: 'asc' }], skip, take: 8, select: { name: true, email: true } }))
  }
  show('cursor', await customer.findMany({ cursor: { email: 'user05@example.com' }, take: 2, orderBy: { age: 'asc' }, select: { email: true } }))
  show('aggregate', await customer.aggregate({ _min: { age: true }, _max: { born: true }, _count: { name: true } }))
  show('groups', await customer.groupBy({ by: ['name'], _count: true, orderBy: { name: 'asc' } }))
  show('distinct', (await customer.findMany({ distinct: ['name'], select: { name: true } })).length)
  show('count', await customer.count({ where: { name: 'User 1' } }))
  show('raw', await prisma.$queryRaw`SELECT id, age FROM "Customer" WHERE email = ${'user03@example.com'}`)
}

async function relations() {
  show('include', await customer.findMany({ where: { email: 'Ada@example.com' }, include: { orders: { orderBy: { id: 'asc' } } } }))
  show('some', await customer.findMany({ where: { orders: { some: { card: '4203' } } }, select: { email: true } }))
  show('belongs', await order.findFirst({ where: { customer: { email: 'Ada@example.com' } }, include: { customer: { select: { name: true } } } }))
  show('ordered', await order.findMany({ orderBy: { customer: { age: 'desc' } }, select: { item: true }, take: 2 }))
  show('counted', await customer.findMany({ where: { orders: { some: {} } }, orderBy: { id: 'asc' }, select: { email: true, _count: { select: { orders: true } } } }))
}

async function writes() {
  show('update', await customer.update({ where: { email: 'Ada@example.com' }, data: { name: 'Ada King', age: 37 }, select: { name: true, age: true } }))
  show('update many', await customer.updateMany({ where: { name: 'User 2' }, data: { phone: null, active: false } }))
  const upsert = (email, age) => customer.upsert({ where: { email }, create: { email, age }, update: { age }, select: { email: true, age: true } })
  show('upsert', [await upsert('user01@example.com', 70), await upsert('new@example.com', 71)])
  show('skip', await customer.createMany({ data: [{ email: 'new@example.com' }, { email: 'newer@example.com' }], skipDuplicates: true }))
  show('push', await customer.update({ where: { email: 'Ada@example.com' }, data: { tags: ['one', 'two'] }, select: { tags: true } }))
  show('delete', await customer.delete({ where: { email: 'newer@example.com' }, select: { email: true } }))
  show('delete many', await customer.deleteMany({ where: { email: { in: ['user19@example.com'] } } }))
}

async function failures() {
  show('duplicate', await failure(customer.create({ data: { email: 'Ada@example.com' } })))
  show('transaction', await failure(prisma.$transaction(async (tx) => {
    await tx.customer.create({ data: { email: 'lost@example.com' } })
    show('inside', await tx.customer.count({ where: { email: 'lost@example.com' } }))
    await tx.customer.create({ data: { email: 'Ada@example.com' } })
  })))
  show('batch', await failure(prisma.$transaction([customer.create({ data: { email: 'lost@example.com' } }), customer.create({ data: { email: 'Ada@example.com' } })])))
  show('lost', await customer.count({ where: { email: 'lost@example.com' } }))
  show('missing', await failure(customer.findUniqueOrThrow({ where: { email: 'none@example.com' } })))
  show('bad value', await failure(prisma.$queryRaw`SELECT id FROM "Customer" WHERE age = ${'old'}::int`))
}

await migrate()
await seed()
await queries()
await relations()
await writes()
await failures()
await prisma.$disconnect()
console.log('done')
