// node-postgres: unnamed and named statements, text results and binary ones, a pool.
import { createRequire } from 'node:module'
const pg = createRequire(process.env.NODE_MODULES_OF)('pg')

const url = process.env.DATABASE_URL
const columns = 'id, plain, email, name, age, big, small, ok, price, ratio, born, seen, uid, blob, doc'
const show = (label, value) => console.log(label, JSON.stringify(value))
// Dates as the server prints them: the driver would make them local.
pg.types.setTypeParser(1082, (text) => text)

async function sqlstate(promise) {
  try {
    await promise
    return 'no error'
  } catch (error) {
    return error.code
  }
}

async function insert(client) {
  const marks = Array.from({ length: 15 }, (_, i) => `$${i + 1}`).join(', ')
  const rows = [
    [1, 'one', 'a@example.com', "O'Brien \\ ü", 42, '9007199254740993', -7, true, '12.50', 0.1, '1969-07-20',
      new Date('1969-07-20T20:17:40Z'), '0d3bb0f6-8b6c-4f0b-9c5e-1d2d3a4b5c6d', Buffer.from([0, 255]), { k: [1, null] }],
    [2, 'two', 'b@example.com', '', -1, -1, 0, false, 'NaN', -Infinity, 'infinity', '2024-02-29 23:59:59.999999+00', null, Buffer.alloc(0), 'null'],
    [3, 'three', ...Array(13).fill(null)],
  ]
  for (const row of rows) {
    const result = await client.query(`INSERT INTO people (${columns}) VALUES (${marks}) RETURNING id, email, price`, row)
    show('inserted', [result.command, result.rowCount, result.rows])
  }
  for (let i = 0; i < 20; i++) {
    await client.query({ name: 'add', text: 'INSERT INTO people (id, email, age) VALUES ($1, $2, $3)', values: [100 + i, `m${i}@example.com`, i % 3] })
  }
}

async function select(client) {
  const all = await client.query(`SELECT ${columns} FROM people ORDER BY id`)
  show('columns', all.fields.map((f) => [f.name, f.dataTypeID, f.format]))
  for (const row of all.rows) show('row', row)
  const array = await client.query({ text: 'SELECT email, age FROM people ORDER BY id LIMIT 3', rowMode: 'array' })
  show('array mode', array.rows)
  const operands = { email: 'a@example.com', name: '', age: 42, big: '9007199254740993', small: -7, ok: true, price: '12.5', ratio: 0.1,
    born: '1969-07-20', seen: new Date('1969-07-20T20:17:40Z'), uid: '0d3bb0f6-8b6c-4f0b-9c5e-1d2d3a4b5c6d', blob: Buffer.from([0, 255]) }
  for (const [column, value] of Object.entries(operands)) {
    const text = `SELECT id FROM people WHERE ${column} = $1 ORDER BY id`
    show(`by ${column}`, (await client.query(text, [value])).rows)
    show('null operand', (await client.query(text, [null])).rows)
    show('binary', (await client.query({ text: `SELECT ${column} AS v FROM people WHERE ${column} = $1 ORDER BY id`, values: [value], binary: true })).fields.map((f) => [f.dataTypeID, f.format]))
  }
  for (const column of ['age', 'email', 'ok', 'big', 'ratio']) {
    show(`binary ${column}`, (await client.query({ text: `SELECT ${column} FROM people WHERE id = 1 AND id = $1`, values: [1], binary: true })).rows)
  }
  for (let run = 0; run < 8; run++) {
    show('named', (await client.query({ name: 'find', text: 'SELECT id FROM people WHERE email = $1', values: [`m${run}@example.com`] })).rows)
  }
  show('any', (await client.query('SELECT id FROM people WHERE email = ANY($1) ORDER BY id', [['a@example.com', 'm3@example.com', null]])).rows)
  show('any int', (await client.query('SELECT id FROM people WHERE age = ANY($1) ORDER BY id', [[42, 1]])).rows)
  show('in', (await client.query('SELECT id FROM people WHERE email IN ($1, $2) ORDER BY id', ['a@example.com', 'b@example.com'])).rows)
  show('simple', (await client.query("SELECT email FROM people WHERE email = 'a@example.com'; SELECT 1 AS one")).map((r) => r.rows))
}

async function transactions(client) {
  await client.query('BEGIN')
  await client.query('UPDATE people SET email = $1 WHERE id = 1', ['changed@example.com'])
  show('duplicate', await sqlstate(client.query('INSERT INTO people (id, email) VALUES (9, $1)', ['b@example.com'])))
  show('failed', await sqlstate(client.query('SELECT id FROM people WHERE email = $1', ['a@example.com'])))
  await client.query('ROLLBACK')
  show('rolled back', (await client.query('SELECT email FROM people WHERE id = 1')).rows)
  show('bad value', await sqlstate(client.query('SELECT id FROM people WHERE age = $1', ['no number'])))
  show('usable', (await client.query('SELECT id FROM people WHERE age = $1', [42])).rows)
  // Queued at once: the driver sends the next when the one before is done, errors do not stop the others.
  show('queued', await Promise.all([
    sqlstate(client.query('INSERT INTO people (id, email) VALUES (200, $1)', ['p@example.com'])),
    sqlstate(client.query('INSERT INTO people (id, email) VALUES (201, $1)', ['p@example.com'])),
    sqlstate(client.query('INSERT INTO people (id, email) VALUES (202, $1)', ['q@example.com'])),
  ]))
}

const client = new pg.Client({ connectionString: url })
await client.connect()
await insert(client)
await select(client)
await transactions(client)
await client.end()

const pool = new pg.Pool({ connectionString: url, max: 2 })
const found = await Promise.all([0, 1, 2, 3].map((i) => pool.query('SELECT id, email FROM people WHERE email = $1', [`m${i}@example.com`])))
show('pool', found.map((r) => r.rows))
show('update', (await pool.query('UPDATE people SET email = $2 WHERE email = $1 RETURNING email', ['m1@example.com', 'n1@example.com'])).rows)
show('deleted', (await pool.query('DELETE FROM people WHERE email = ANY($1)', [['n1@example.com', 'm2@example.com']])).rowCount)
await pool.end()
console.log('done')
