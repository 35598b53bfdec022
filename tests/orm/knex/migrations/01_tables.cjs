const kind = (name, plain) => (process.env.SEALED ? `seal.${name}` : plain)

exports.up = async (knex) => {
  await knex.schema.createTable('customers', (table) => {
    table.increments('id')
    table.specificType('email', kind('text_search', 'text')).notNullable().unique()
    table.specificType('name', kind('text_ord', 'text')).index()
    table.specificType('age', kind('int4_ord', 'integer'))
    table.specificType('balance', kind('numeric_ord', 'numeric'))
    table.specificType('born', kind('date_ord', 'date'))
    table.specificType('settings', kind('jsonb', 'jsonb'))
    table.text('city')
  })
  await knex.schema.createTable('orders', (table) => {
    table.increments('id')
    table.integer('customer_id').notNullable().references('customers.id')
    table.text('item').notNullable()
    table.specificType('card', kind('text_eq', 'text'))
  })
}
exports.down = async (knex) => {
  await knex.schema.dropTable('orders')
  await knex.schema.dropTable('customers')
}
