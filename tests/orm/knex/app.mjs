// Knex: query builder and migrations; an encrypted column is a specificType.
import { join } from 'node:path'
import { failure, people, plainUrl, require, show, url } from '../common.mjs'

const Knex = require('knex')
require('pg').types.setTypeParser(1082, (text) => text)
const directory = join(import.meta.dirname, 'migrations')
const knex = Knex({ client: 'pg', connection: url, pool: { min: 0, max: 2 }, migrations: { directory, loadExtensions: ['.cjs'] } })

async function migrate() {
  show('migrated', (await knex.migrate.latest())[1].length)
}

async function seed() {
  const ada = { email: 'Ada@example.com', name: 'Ada Lovelace', age: 36, balance: '12.50', born: '1815-12-10', settings: { theme: ['dark', null] }, city: 'London' }
  show('inserted', await knex('customers').insert(ada).returning('*'))
  show('bulk', (await knex('customers').insert(people, ['id'])).length)
  await knex.batchInsert('orders', [2, 3, 4, 5].map((i) => ({ customer_id: i, item: `item ${i}`, card: `420${i}` })), 2)
}

async function queries() {
  const by = async (build) => (await build(knex('customers')).orderBy('id')).map((c) => c.email)
  show('where', await by((q) => q.where({ email: 'Ada@example.com' })))
  show('in', await by((q) => q.whereIn('email', ['user01@example.com', 'none'])))
  show('not', (await by((q) => q.whereNot('email', 'user01@example.com'))).length)
  show('null', (await by((q) => q.whereNull('phone'))).length)
  show('between', await by((q) => q.whereBetween('age', [22, 25])))
  show('date', await by((q) => q.where('born', '<', '1990-01-03')))
  show('ilike', await by((q) => q.whereILike('email', '%USER1%')))
  show('like', await by((q) => q.whereLike('email', 'user0%')))
  show('or', await by((q) => q.where('age', 36).orWhere({ name: 'User 3' })))
  show('raw', await by((q) => q.whereRaw('lower(email) = ?', ['ada@example.com'])))
  for (const offset of [0, 8, 16]) show('page', await knex('customers').select('name', 'email').orderBy(['name', 'id']).limit(8).offset(offset))
  show('first', await knex('customers').where('age', '>', 30).orderBy('age', 'desc').first('age'))
  show('aggregates', await knex('customers').min('age').max('born').count('name').countDistinct('name as names'))
  show('groups', await knex('customers').select('name').count('* as n').groupBy('name').orderBy('name'))
  show('distinct', (await knex('customers').distinct('name')).length)
  show('join', await knex('orders').join('customers', 'customers.id', 'orders.customer_id').where('orders.card', '4203').select('customers.email', 'orders.item'))
  const rows = []
  for await (const row of knex('customers').select('age').where('age', '<', 23).orderBy('age').stream()) rows.push(row.age)
  show('stream', rows)
}

async function writes() {
  show('update', await knex('customers').where({ email: 'Ada@example.com' }).update({ name: 'Ada King', age: 37 }, ['name', 'age']))
  const rows = [{ email: 'user01@example.com', age: 70 }, { email: 'new@example.com', age: 71 }]
  show('merge', await knex('customers').insert(rows).onConflict('email').merge(['age']).returning(['email', 'age']))
  show('ignore', await knex('customers').insert({ email: 'new@example.com' }).onConflict('email').ignore().returning('id'))
  show('deleted', await knex('customers').whereIn('email', ['user19@example.com']).del())
}

async function failures() {
  show('transaction', await failure(knex.transaction(async (trx) => {
    await trx('customers').insert({ email: 'lost@example.com' })
    show('inner', await failure(trx.transaction((inner) => inner('customers').insert({ email: 'Ada@example.com' }))))
    await trx('customers').insert({ email: 'Ada@example.com' })
  })))
  show('lost', await knex('customers').where({ email: 'lost@example.com' }).count())
  show('bad value', await failure(knex('customers').where({ age: 'old' })))
}

async function reflection() {
  const plain = Knex({ client: 'pg', connection: plainUrl })
  for (const table of ['customers', 'orders']) show('columns', await plain(table).columnInfo())
  show('has', await plain.schema.hasColumn('customers', 'phone'))
  await plain.destroy()
}

await migrate()
await seed()
await queries()
await writes()
await failures()
await reflection()
await knex.destroy()
console.log('done')
