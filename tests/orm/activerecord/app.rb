# ActiveRecord: an encrypted column is a type by name in the migration; sessions see the catalogs as plain, so that models get the columns' types.
require "active_record"
require "json"
require "stringio"

def sealed(name, plain)
  ENV["SEALED"] ? "seal.#{name}" : plain
end

def connect(**more)
  ActiveRecord::Base.establish_connection(url: ENV["DATABASE_URL"].sub("postgres://", "postgresql://"),
                                          variables: { "columnseal.introspection" => "plain" }, pool: 2, **more)
end

def show(label, value)
  puts "#{label} #{value.to_json}"
  $stdout.flush
end

class Tables < ActiveRecord::Migration[6.1]
  def change
    create_table :customers do |t|
      t.column :email, sealed("text_search", "text"), null: false
      t.column :name, sealed("varchar_ord", "varchar")
      t.column :age, sealed("int4_ord", "integer")
      t.column :balance, sealed("numeric_ord", "numeric")
      t.column :born, sealed("date_ord", "date")
      t.column :settings, sealed("jsonb", "jsonb")
      t.column :active, sealed("bool", "boolean")
      t.text :city
    end
    add_index :customers, :email, unique: true
    add_index :customers, :name
    create_table :orders do |t|
      t.references :customer, foreign_key: true, null: false
      t.text :item
      t.column :card, sealed("text_eq", "text")
    end
  end
end

class Phone < ActiveRecord::Migration[6.1]
  def change
    add_column :customers, :phone, sealed("text_search", "text")
    add_index :customers, [:city, :phone], unique: true, name: "one_phone_a_city"
  end
end

class Customer < ActiveRecord::Base
  has_many :orders, -> { order(:id) }
  validates :email, uniqueness: { case_sensitive: false }
end

class Order < ActiveRecord::Base
  belongs_to :customer
end

def seed
  ada = Customer.create!(email: "Ada@example.com", name: "Ada O'Lovelace", age: 36, balance: "12.5", born: Date.new(1815, 12, 10),
                         settings: { theme: ["dark", nil, 1.5] }, active: true, city: "London", phone: "+44 1")
  show "created", ada.attributes
  20.times do |i|
    Customer.create!(email: format("user%02d@example.com", i), name: "User #{i % 7}", age: 20 + i, balance: i / 4.0, born: Date.new(1990, 1, i + 1), city: %w[Paris Rome][i % 2])
  end
  show "bulk", Customer.insert_all([{ email: "bulk1@example.com", age: 1 }, { email: "bulk2@example.com", age: 2 }], returning: %w[email age]).to_a
  ada.orders.create!(item: "engine", card: "4111")
  Order.insert_all((2..5).map { |i| { customer_id: i, item: "item #{i}", card: "420#{i}" } })
  show "invalid", Customer.new(email: "ADA@example.com").tap(&:valid?).errors.full_messages
end

def queries
  by = ->(where) { where.order(:id).pluck(:email) }
  show "find by", Customer.find_by(email: "Ada@example.com")&.name
  show "in", by.(Customer.where(email: ["user01@example.com", "user02@example.com", "none"]))
  show "not", Customer.where.not(email: "user01@example.com").count
  show "null", Customer.where(phone: nil).count
  show "range", by.(Customer.where(age: 22..25))
  show "open range", by.(Customer.where(born: ...Date.new(1990, 1, 3)))
  show "decimal", by.(Customer.where("balance >= ?", 4.5))
  show "like", by.(Customer.where("email LIKE ?", "user0%"))
  show "ilike", by.(Customer.where(Customer.arel_table[:email].matches("%USER1%")))
  show "lower", by.(Customer.where(Customer.arel_table[:email].lower.eq("ada@example.com")))
  show "or", by.(Customer.where(age: 36).or(Customer.where(name: "User 3")))
  [0, 8, 16].each { |offset| show "page", Customer.order(:name, :id).limit(8).offset(offset).pluck(:name, :email) }
  show "desc", Customer.order(age: :desc).limit(3).pluck(:age)
  show "extremes", [Customer.minimum(:age), Customer.maximum(:born)]
  show "groups", Customer.group(:name).order(:name).count.to_a
  show "distinct", Customer.distinct.pluck(:name).map(&:to_s).sort
  show "exists", Customer.exists?(email: "user03@example.com")
  show "batches", Customer.find_each(batch_size: 7).map(&:age).sum
  show "joins", Order.joins(:customer).where(customers: { email: "Ada@example.com" }).pluck(:item, :card, "customers.name")
  show "includes", Customer.includes(:orders).where(age: ...24).order(:age).map { |c| [c.email, c.orders.map(&:card)] }
  show "eager", Customer.eager_load(:orders).where(orders: { card: "4203" }).map { |c| [c.email, c.settings, c.balance, c.orders.size] }
  show "subquery", Customer.where(id: Order.where(card: "4202").select(:customer_id)).pluck(:email)
end

def writes
  ada = Customer.find_by!(email: "Ada@example.com")
  ada.update!(name: "Ada King", age: ada.age + 1)
  show "changed", ada.reload.slice(:name, :age, :born, :active)
  show "update all", Customer.where(name: "User 2").update_all(phone: nil, active: false)
  show "upsert", Customer.upsert_all([{ email: "user01@example.com", age: 70 }, { email: "new@example.com", age: 71 }], unique_by: :email, returning: %w[email age]).to_a
  show "find or create", Customer.find_or_create_by!(email: "newer@example.com") { |c| c.age = 5 }.previously_new_record?
  show "deleted", Customer.where(email: ["newer@example.com", "user19@example.com"]).delete_all
  show "locked", Customer.lock.find_by(email: "new@example.com").age
end

def failures
  state = ->(error) { [error.class.name, error.cause.result.error_field(PG::PG_DIAG_SQLSTATE)] }
  Customer.transaction do
    Customer.create!(email: "kept@example.com")
    Customer.transaction(requires_new: true) { Customer.new(email: "Ada@example.com").save!(validate: false) }
  rescue ActiveRecord::RecordNotUnique => error
    show "duplicate", state.(error)
  end
  Customer.transaction do
    Customer.create!(email: "lost@example.com")
    raise ActiveRecord::Rollback
  end
  show "kept", Customer.where(email: ["kept@example.com", "lost@example.com"]).pluck(:email)
  begin
    Customer.where("age = ?", "old").load
  rescue ActiveRecord::StatementInvalid => error
    show "bad value", state.(error)
  end
end

def reflection
  connection = ActiveRecord::Base.connection
  %w[customers orders].each do |table|
    show "columns", connection.columns(table).map { |c| [c.name, c.sql_type, c.type, c.null, c.default] }
    show "indexes", connection.indexes(table).map { |i| [i.name, i.columns, i.unique, i.using, i.where] }
    show "key", connection.primary_key(table)
  end
  schema = StringIO.new
  ActiveRecord::SchemaDumper.ignore_tables = [/\Aseal/]
  ActiveRecord::SchemaDumper.dump(connection, schema)
  puts schema.string.lines.grep_v(/enable_extension/)
end

connect
ActiveRecord::Migration.verbose = false
[Tables, Phone].each { |migration| migration.migrate(:up) }
seed
queries
writes
connect(prepared_statements: false)
queries
failures
reflection
puts "done"
