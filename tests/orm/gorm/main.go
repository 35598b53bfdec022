// GORM over lib/pq: models with plain types over tables of other migrations, associations, and its own look into the catalogs.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"time"

	"github.com/jinzhu/gorm"
	"github.com/lib/pq"
)

var encrypted = regexp.MustCompile(`seal\.([a-z0-9]+)(_eq|_ord|_match|_search)?`)

// Customer has encrypted columns.
type Customer struct {
	ID        uint
	CreatedAt time.Time  `json:"-"`
	DeletedAt *time.Time `json:"-"`
	Email     string
	Name      *string
	Age       int
	Balance   *float64
	Born      *time.Time
	Tags      pq.StringArray
	Active    bool
	City      string
	Phone     *string
	Orders    []Order
}

// Order is one of a customer.
type Order struct {
	ID         uint
	CustomerID uint
	Item       string
	Card       string
}

// Note is made by AutoMigrate, with the types of its tags.
type Note struct {
	ID   uint
	Body string `gorm:"type:seal.text_search;not null;unique"`
	Mood *int   `gorm:"type:seal.int4_ord;index:notes_mood"`
}

// PlainNote is the same on plain PostgreSQL.
type PlainNote struct {
	ID   uint
	Body string `gorm:"type:text;not null;unique"`
	Mood *int   `gorm:"type:int4;index:notes_mood"`
}

// TableName of both is one.
func (PlainNote) TableName() string { return "notes" }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func show(label string, values ...any) {
	for i, value := range values {
		text, err := json.Marshal(value)
		must(err)
		values[i] = string(text)
	}
	fmt.Println(append([]any{label}, values...)...)
}

func state(err error) string {
	var from *pq.Error
	if errors.As(err, &from) {
		return string(from.Code) + " " + from.Constraint
	}
	return fmt.Sprint(err)
}

func done(db *gorm.DB) *gorm.DB {
	must(db.Error)
	return db
}

func migrate(db *gorm.DB) {
	for _, sql := range []string{
		`CREATE TABLE customers (id serial PRIMARY KEY, created_at timestamptz, deleted_at timestamptz, email seal.text_search NOT NULL, name seal.text_ord, age seal.int4_ord,
			balance seal.float8_ord, born seal.timestamptz_ord, tags seal.text_eq[], active seal.bool_eq, city text, phone seal.text_search)`,
		`CREATE TABLE orders (id serial PRIMARY KEY, customer_id int, item text, card seal.text_eq)`,
	} {
		if os.Getenv("SEALED") == "" {
			sql = encrypted.ReplaceAllString(sql, "$1")
		}
		done(db.Exec(sql))
	}
	done(db.Model(&Customer{}).AddUniqueIndex("uix_customers_email", "email"))
	done(db.Model(&Customer{}).AddIndex("idx_customers_name", "name", "city"))
	done(db.Model(&Order{}).AddForeignKey("customer_id", "customers(id)", "CASCADE", "RESTRICT"))
	done(db.AutoMigrate(&Customer{}, &Order{}))
	if os.Getenv("SEALED") == "" {
		done(db.AutoMigrate(&PlainNote{}))
	} else {
		done(db.AutoMigrate(&Note{}))
	}
	mood := 3
	done(db.Create(&Note{Body: "note@example.com", Mood: &mood}))
	var note Note
	done(db.Where("mood > ?", 2).First(&note))
	show("note", note, state(db.Create(&Note{Body: "note@example.com"}).Error))
}

func text(value string) *string { return &value }

func seed(db *gorm.DB) {
	born := time.Date(1815, 12, 10, 0, 0, 0, 0, time.UTC)
	balance := 12.5
	ada := Customer{Email: "Ada@example.com", Name: text("Ada Lovelace"), Age: 36, Balance: &balance, Born: &born, Tags: []string{"math", "poet"}, Active: true, City: "London",
		Orders: []Order{{Item: "engine", Card: "4111"}, {Item: "loom", Card: "4112"}}}
	done(db.Create(&ada))
	show("created", ada.ID, len(ada.Orders))
	for i := 0; i < 20; i++ {
		born := time.Date(1990, 1, i+1, 0, 0, 0, 0, time.UTC)
		customer := Customer{Email: fmt.Sprintf("user%02d@example.com", i), Name: text(fmt.Sprintf("User %d", i%7)), Age: 20 + i, Born: &born, City: []string{"Paris", "Rome"}[i%2]}
		if i < 5 {
			customer.Orders = []Order{{Item: fmt.Sprint("item ", i), Card: fmt.Sprint("420", i)}}
		}
		done(db.Create(&customer))
	}
}

func queries(db *gorm.DB) {
	by := func(label string, query *gorm.DB) {
		var emails []string
		done(query.Model(&Customer{}).Order("id").Pluck("email", &emails))
		show(label, emails)
	}
	by("struct", db.Where(&Customer{Email: "Ada@example.com"}))
	by("map", db.Where(map[string]any{"name": "User 1", "city": "Rome"}))
	by("in", db.Where("email IN (?)", []string{"user01@example.com", "none"}))
	by("not", db.Not("name", []string{"User 1", "User 2", "User 3"}).Where("age < ?", 30))
	by("or", db.Where("age = ?", 36).Or("name = ?", "User 3"))
	by("between", db.Where("age BETWEEN ? AND ?", 22, 25))
	by("time", db.Where("born < ?", time.Date(1990, 1, 3, 0, 0, 0, 0, time.UTC)))
	by("number", db.Where("balance >= ?", 4.5))
	by("bool", db.Where("active = ?", true))
	by("like", db.Where("email LIKE ?", "user0%"))
	by("ilike", db.Where("email ILIKE ?", "%USER1%"))
	by("lower", db.Where("lower(email) = lower(?)", "ADA@example.com"))
	by("tags", db.Where("? = ANY(tags)", "math"))
	by("subquery", db.Where("id IN (?)", db.Model(&Order{}).Select("customer_id").Where("card = ?", "4203").SubQuery()))
	var items []string
	joined := db.Model(&Customer{}).Joins("JOIN orders ON orders.customer_id = customers.id AND orders.card = ?", "4112")
	done(joined.Where("customers.age = ?", 36).Pluck("orders.item", &items))
	show("joined", items)
	for _, offset := range []int{0, 8, 16} {
		var page []Customer
		done(db.Order("name").Order("id").Limit(8).Offset(offset).Find(&page))
		show("page", page)
	}
	var first, last Customer
	done(db.First(&first, "email = ?", "user05@example.com"))
	done(db.Order("age").Last(&last, "city = ?", "Rome"))
	show("first and last", first, last.Email)
	show("none", db.Where("email = ?", "nobody").First(&Customer{}).RecordNotFound())
	var count, names int
	done(db.Model(&Customer{}).Where("age > ?", 30).Count(&count))
	done(db.Model(&Customer{}).Select("count(DISTINCT name)").Count(&names))
	show("counted", count, names)
	type Group struct {
		Name string
		N    int
		Most int
	}
	var groups []Group
	done(db.Model(&Customer{}).Select("name, count(*) AS n, max(age) AS most").Group("name").Having("count(*) > ?", 2).Order("name").Scan(&groups))
	show("groups", groups)
	var some []Customer
	done(db.Preload("Orders", "card <> ?", "4111").Where("age < ?", 23).Or("email LIKE ?", "Ada%").Order("id").Find(&some))
	show("preloaded", some)
	rows, err := db.Model(&Customer{}).Where("age < ?", 23).Order("age").Rows()
	must(err)
	for rows.Next() {
		var customer Customer
		must(db.ScanRows(rows, &customer))
		show("row", customer.Email, customer.Tags)
	}
}

func writes(db *gorm.DB) {
	var ada Customer
	done(db.Where("email = ?", "Ada@example.com").First(&ada))
	ada.Name, ada.Age, ada.Tags = text("Ada King"), 37, nil
	done(db.Save(&ada))
	done(db.Model(&ada).Update("phone", "+44 1"))
	done(db.Model(&ada).Updates(map[string]any{"active": false, "balance": 1.5}))
	done(db.Where("email = ?", "Ada@example.com").First(&ada))
	show("saved", ada)
	show("updated", done(db.Model(&Customer{}).Where("name = ?", "User 2").Updates(Customer{Phone: text("+33")})).RowsAffected)
	var found Customer
	done(db.Where(Customer{Email: "new@example.com"}).Attrs(Customer{Age: 5}).FirstOrCreate(&found))
	done(db.Where(Customer{Email: "new@example.com"}).Assign(Customer{Age: 6}).FirstOrCreate(&found))
	show("found", found)
	upsert := "INSERT INTO customers (email, age) VALUES (?, ?) ON CONFLICT (email) DO UPDATE SET age = EXCLUDED.age"
	show("upsert", done(db.Exec(upsert, "new@example.com", 70)).RowsAffected)
	done(db.Where("email = ?", "user19@example.com").Delete(&Customer{}))
	show("soft", db.Where("email = ?", "user19@example.com").First(&Customer{}).RecordNotFound())
	show("deleted", done(db.Unscoped().Where("email IN (?)", []string{"user18@example.com", "user19@example.com"}).Delete(&Customer{})).RowsAffected)
	var orders []Order
	must(db.Model(&ada).Association("Orders").Append(Order{Item: "card", Card: "4999"}).Find(&orders).Error)
	show("orders", orders)
}

func failures(db *gorm.DB) {
	show("taken back", state(db.Transaction(func(tx *gorm.DB) error {
		done(tx.Create(&Customer{Email: "lost@example.com"}))
		show("duplicate", state(tx.Create(&Customer{Email: "Ada@example.com"}).Error))
		return tx.Exec("SELECT 1").Error
	})))
	show("lost", db.Where("email = ?", "lost@example.com").First(&Customer{}).RecordNotFound())
	show("bad value", state(db.Where("age = ?", "old").Find(&[]Customer{}).Error))
	show("null", state(db.Exec("INSERT INTO customers (email) VALUES (?)", nil).Error))
}

func open(more string) *gorm.DB {
	db, err := gorm.Open("postgres", os.Getenv("DATABASE_URL")+"?sslmode=disable"+more)
	must(err)
	db.SetLogger(silent{})
	return db
}

type silent struct{}

func (silent) Print(...any) {}

func main() {
	db := open("")
	migrate(db)
	seed(db)
	queries(db)
	writes(db)
	failures(db)
	must(db.Close())
	db = open("&binary_parameters=yes")
	queries(db)
	must(db.Close())
	db = open("&options=-c%20columnseal.introspection%3Dplain")
	dialect := db.Dialect()
	show("seen", dialect.HasTable("customers"), dialect.HasColumn("customers", "phone"), dialect.HasIndex("customers", "uix_customers_email"), dialect.HasForeignKey("orders", "orders_customer_id_customers_id_foreign"))
	done(db.AutoMigrate(&Customer{}, &Order{}))
	rows, err := db.DB().Query("SELECT * FROM customers LIMIT 0")
	must(err)
	types, err := rows.ColumnTypes()
	must(err)
	for _, column := range types {
		show("column", column.Name(), column.DatabaseTypeName())
	}
	fmt.Println("done")
}
