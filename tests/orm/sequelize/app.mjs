// Sequelize 6: the type of a column is a name in the migration; models have plain types. Statements hold their values as literals.
import { failure, people, plainUrl, require, sealed, show, url } from '../common.mjs'

const { DataTypes, Op, Sequelize, fn, col, where, literal } = require('sequelize')
require('pg').types.setTypeParser(1082, (text) => text)

const sequelize = new Sequelize(url, { logging: false, pool: { max: 2 } })
const Customer = sequelize.define('Customer', {
  email: { type: DataTypes.TEXT, allowNull: false, unique: true },
  name: DataTypes.STRING,
  age: DataTypes.INTEGER,
  balance: DataTypes.DECIMAL,
  born: DataTypes.DATEONLY,
  seen: DataTypes.DATE,
  settings: DataTypes.JSONB,
  city: DataTypes.TEXT,
  phone: DataTypes.TEXT,
}, { tableName: 'customers', timestamps: false })
const Order = sequelize.define('Order', { item: DataTypes.TEXT, card: DataTypes.TEXT }, { tableName: 'orders', timestamps: false })
Customer.hasMany(Order, { as: 'orders', foreignKey: 'customerId' })
Order.belongsTo(Customer, { as: 'customer', foreignKey: 'customerId' })

async function migrate() {
  const queries = sequelize.getQueryInterface()
  const id = { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true }
  await queries.createTable('customers', {
    id,
    email: { type: sealed('seal.text_search'), allowNull: false, unique: true },
    name: sealed('seal.varchar_ord'),
    age: sealed('seal.int4_ord'),
    balance: sealed('seal.numeric_ord'),
    born: sealed('seal.date_ord'),
    seen: sealed('seal.timestamptz_eq'),
    settings: sealed('seal.jsonb'),
    city: DataTypes.TEXT,
  })
  await queries.createTable('orders', {
    id,
    customerId: { type: DataTypes.INTEGER, references: { model: 'customers', key: 'id' } },
    item: DataTypes.TEXT,
    card: sealed('seal.text_eq'),
  })
  await queries.addIndex('customers', ['name'])
  await queries.addColumn('customers', 'phone', sealed('seal.text_search'))
  await queries.addIndex('customers', ['city', 'phone'], { unique: true, name: 'customers_phone_idx' })
  await queries.addConstraint('orders', { fields: ['card', 'item'], type: 'unique', name: 'orders_card_uk' })
}

async function seed() {
  const ada = await Customer.create({ email: 'Ada@example.com', name: "Ada O'Lovelace \\", age: 36, balance: '12.50', born: '1815-12-10',
    seen: new Date('2024-02-29T23:59:59.999Z'), settings: { theme: ['dark', null, 1.5] }, city: 'London', phone: '+44 1' })
  show('id', ada.id)
  show('bulk', (await Customer.bulkCreate(people)).length)
  await ada.createOrder({ item: 'engine', card: '4111' })
  await Order.bulkCreate([2, 3, 4, 5].map((i) => ({ customerId: i, item: `item ${i}`, card: `420${i}` })))
  show('row', await Customer.findByPk(ada.id, { raw: true }))
}

async function queries() {
  const by = async (where) => (await Customer.findAll({ where, order: ['id'] })).map((c) => c.email)
  show('equal', await by({ email: 'Ada@example.com' }))
  show('in', await by({ email: ['user01@example.com', 'user02@example.com', 'none'] }))
  show('not', (await by({ email: { [Op.ne]: 'user01@example.com' } })).length)
  show('null', (await by({ phone: null })).length)
  show('between', await by({ age: { [Op.between]: [22, 25] } }))
  show('date', await by({ born: { [Op.lt]: '1990-01-03' } }))
  show('number', await by({ balance: { [Op.gte]: '4.5' } }))
  show('ilike', await by({ email: { [Op.iLike]: '%USER1%' } }))
  show('starts', await by({ email: { [Op.startsWith]: 'user0' } }))
  show('substring', await by({ email: { [Op.substring]: 'da@' } }))
  show('lower', await by(where(fn('lower', col('email')), 'ada@example.com')))
  show('or', await by({ [Op.or]: [{ age: 36 }, { name: 'User 3' }] }))
  for (const offset of [0, 8, 16]) {
    show('page', await Customer.findAndCountAll({ attributes: ['name', 'email'], order: [['name', 'ASC NULLS LAST'], 'id'], limit: 8, offset, raw: true }))
  }
  show('extremes', [await Customer.min('age'), await Customer.max('born')])
  show('count', await Customer.count({ where: { name: 'User 1' } }))
  show('groups', await Customer.findAll({ attributes: ['name', [fn('count', literal('*')), 'n']], group: ['name'], order: ['name'], raw: true }))
  show('bind', await sequelize.query('SELECT id FROM customers WHERE email = $1', { bind: ['user03@example.com'], type: 'SELECT' }))
  show('replaced', await sequelize.query('SELECT id FROM customers WHERE email IN (:emails)', { replacements: { emails: ['user03@example.com', "o'x"] }, type: 'SELECT' }))
}

async function relations() {
  const found = await Customer.findAll({ where: { email: 'Ada@example.com' }, include: 'orders' })
  show('include', found.map((c) => c.toJSON()))
  show('inner', (await Customer.findAll({ include: { association: 'orders', where: { card: '4203' } } })).map((c) => [c.email, c.orders.length]))
  show('limited', (await Customer.findAll({ include: 'orders', order: ['id'], limit: 3 })).map((c) => [c.email, c.orders.map((o) => o.card)]))
  show('belongs', (await Order.findOne({ where: { card: '4202' }, include: 'customer' })).customer.name)
}

async function writes() {
  const ada = await Customer.findOne({ where: { email: 'Ada@example.com' } })
  await ada.update({ name: 'Ada King', age: 37 })
  show('reloaded', (await ada.reload()).get({ plain: true }).name)
  show('update', await Customer.update({ phone: '+39' }, { where: { email: 'user02@example.com' }, returning: ['email', 'phone'] }))
  const [row, created] = await Customer.upsert({ email: 'user01@example.com', age: 70 })
  show('upsert', [row.email, row.age, row.name, created])
  // findOrCreate makes a function that catches the violation: the proxy refuses it.
  show('find or create', (await Customer.findCreateFind({ where: { email: 'new@example.com' }, defaults: { age: 1 } }))[1])
  await Customer.bulkCreate([{ email: 'new@example.com', age: 5 }, { email: 'newer@example.com', age: 6 }], { updateOnDuplicate: ['age'] })
  show('on duplicate', await Customer.findAll({ attributes: ['email', 'age'], where: { email: { [Op.startsWith]: 'new' } }, order: ['age'], raw: true }))
  show('deleted', await Customer.destroy({ where: { email: ['newer@example.com', 'user19@example.com'] } }))
}

async function failures() {
  show('transaction', await failure(sequelize.transaction(async (transaction) => {
    await Customer.create({ email: 'lost@example.com' }, { transaction })
    show('inner', await failure(sequelize.transaction({ transaction }, (inner) => Customer.create({ email: 'Ada@example.com' }, { transaction: inner }))))
    await Customer.create({ email: 'Ada@example.com' }, { transaction })
  })))
  show('lost', await Customer.count({ where: { email: 'lost@example.com' } }))
  show('bad value', await failure(sequelize.query("SELECT id FROM customers WHERE age = 'old'")))
}

async function reflection() {
  const plain = new Sequelize(plainUrl, { logging: false })
  const queries = plain.getQueryInterface()
  for (const table of ['customers', 'orders']) {
    show('described', await queries.describeTable(table))
    show('indexes', (await queries.showIndex(table)).map(({ name, primary, unique, fields, definition }) => ({ name, primary, unique, fields, definition })))
    // Those of NOT NULL are named by numbers.
    const constraints = (await queries.showConstraint(table)).filter((c) => c.constraintType !== 'CHECK')
    show('constraints', constraints.map((c) => [c.constraintName, c.constraintType, c.tableName]).sort())
  }
  await plain.close()
}

await migrate()
await seed()
await queries()
await relations()
await writes()
await failures()
await reflection()
await sequelize.close()
console.log('done')
