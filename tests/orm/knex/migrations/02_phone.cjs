exports.up = (knex) => knex.schema.alterTable('customers', (table) => {
  table.specificType('phone', process.env.SEALED ? 'seal.text_search' : 'text')
  table.unique(['city', 'phone'], { indexName: 'one_phone_a_city' })
})
exports.down = (knex) => knex.schema.alterTable('customers', (table) => {
  table.dropUnique(['city', 'phone'], 'one_phone_a_city')
  table.dropColumn('phone')
})
