import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.math.BigDecimal;
import java.net.URI;
import java.sql.Connection;
import java.sql.Date;
import java.sql.DatabaseMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Plain JDBC over a pool of HikariCP: batches, generated keys, savepoints, and what DatabaseMetaData says. */
public class Shop {
    static final boolean SEALED = System.getenv("SEALED") != null;

    static String sealed(String sql) {
        return SEALED ? sql : sql.replaceAll("seal\\.([a-z0-9]+?)(_eq|_ord|_match|_search)?(?![a-z0-9_])", "$1");
    }

    static void show(String label, Object value) {
        System.out.println(label + " " + value);
    }

    static HikariDataSource pool(boolean plain, String more) {
        URI url = URI.create(System.getenv("DATABASE_URL"));
        HikariConfig config = new HikariConfig();
        config.setJdbcUrl("jdbc:postgresql://" + url.getHost() + ":" + url.getPort() + url.getPath() + "?" + more);
        String[] user = url.getUserInfo().split(":");
        config.setUsername(user[0]);
        config.setPassword(user.length > 1 ? user[1] : null);
        config.setMaximumPoolSize(2);
        if (plain) config.setConnectionInitSql("SET columnseal.introspection = plain");
        return new HikariDataSource(config);
    }

    static List<List<Object>> rows(ResultSet result) throws SQLException {
        List<List<Object>> rows = new ArrayList<>();
        ResultSetMetaData columns = result.getMetaData();
        while (result.next()) {
            List<Object> row = new ArrayList<>();
            for (int i = 1; i <= columns.getColumnCount(); i++) row.add(String.valueOf(result.getObject(i)));
            rows.add(row);
        }
        result.close();
        return rows;
    }

    static List<List<Object>> ask(Connection connection, String sql, Object... values) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int i = 0; i < values.length; i++) statement.setObject(i + 1, values[i]);
            return rows(statement.executeQuery());
        }
    }

    interface Work {
        void run() throws SQLException;
    }

    static String state(Work work) {
        try {
            work.run();
            return "no error";
        } catch (SQLException error) {
            return error.getSQLState();
        }
    }

    static void migrate(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            statement.execute(sealed("CREATE TABLE customers (id serial PRIMARY KEY, email seal.text_search NOT NULL UNIQUE, name seal.varchar_ord, age seal.int4_ord,"
                + " balance seal.numeric_ord, born seal.date_ord, tags seal.text_eq[], city text)"));
            statement.execute(sealed("CREATE TABLE orders (id serial PRIMARY KEY, customer_id int NOT NULL REFERENCES customers, item text, card seal.text_eq)"));
            statement.execute("CREATE INDEX customers_name ON customers (name)");
            connection.commit();
            statement.execute(sealed("ALTER TABLE customers ADD COLUMN phone seal.text_search"));
            connection.rollback();
            statement.execute(sealed("ALTER TABLE customers ADD COLUMN phone seal.text_search; CREATE UNIQUE INDEX one_phone_a_city ON customers (city, phone)"));
            connection.commit();
            connection.setAutoCommit(true);
        }
    }

    static void seed(Connection connection) throws SQLException {
        String insert = "INSERT INTO customers (email, name, age, balance, born, tags, city) VALUES (?, ?, ?, ?, ?, ?, ?)";
        try (PreparedStatement statement = connection.prepareStatement(insert, Statement.RETURN_GENERATED_KEYS)) {
            statement.setString(1, "Ada@example.com");
            statement.setString(2, "Ada Lovelace");
            statement.setInt(3, 36);
            statement.setBigDecimal(4, new BigDecimal("12.50"));
            statement.setDate(5, Date.valueOf("1815-12-10"));
            statement.setArray(6, connection.createArrayOf("text", new String[] {"math", "poet"}));
            statement.setString(7, "London");
            show("inserted", statement.executeUpdate());
            show("keys", rows(statement.getGeneratedKeys()));
        }
        try (PreparedStatement statement = connection.prepareStatement(insert)) {
            for (int i = 0; i < 20; i++) {
                statement.setString(1, String.format("user%02d@example.com", i));
                statement.setString(2, "User " + i % 7);
                statement.setObject(3, 20 + i);
                statement.setBigDecimal(4, new BigDecimal(i).divide(new BigDecimal(4)));
                statement.setObject(5, java.time.LocalDate.of(1990, 1, i + 1));
                statement.setNull(6, Types.ARRAY);
                statement.setString(7, i % 2 == 0 ? "Paris" : "Rome");
                statement.addBatch();
            }
            show("batch", Arrays.stream(statement.executeBatch()).filter(n -> n == 1 || n == Statement.SUCCESS_NO_INFO).count());
        }
        try (PreparedStatement statement = connection.prepareStatement("INSERT INTO orders (customer_id, item, card) VALUES (?, ?, ?)")) {
            for (int i = 1; i < 6; i++) {
                statement.setInt(1, i);
                statement.setString(2, "item " + i);
                statement.setString(3, "420" + i);
                statement.addBatch();
            }
            statement.executeBatch();
        }
    }

    static void queries(Connection connection) throws SQLException {
        String by = "SELECT email, name, age, balance, born, tags FROM customers WHERE ";
        for (int run = 0; run < 7; run++) show("equal", ask(connection, by + "email = ?", "Ada@example.com"));
        show("in", ask(connection, by + "email IN (?, ?) ORDER BY id", "user01@example.com", "none"));
        show("any", ask(connection, by + "email = ANY (?)", connection.createArrayOf("text", new String[] {"user02@example.com"})));
        show("between", ask(connection, by + "age BETWEEN ? AND ? ORDER BY age", 22, 25));
        show("date", ask(connection, by + "born < ?", Date.valueOf("1990-01-03")));
        show("number", ask(connection, by + "balance >= ? ORDER BY id", new BigDecimal("4.5")));
        show("like", ask(connection, by + "email LIKE ? ORDER BY id", "user0%"));
        show("lower", ask(connection, by + "lower(email) = lower(?)", "ADA@example.com"));
        show("optional", ask(connection, by + "(CAST(? AS text) IS NULL OR email = ?) AND age < ? ORDER BY id", null, null, 23));
        for (int offset = 0; offset < 24; offset += 8) {
            show("page", ask(connection, "SELECT name, email FROM customers ORDER BY name, id LIMIT ? OFFSET ?", 8, offset));
        }
        show("groups", ask(connection, "SELECT name, count(*) FROM customers GROUP BY name ORDER BY name"));
        show("join", ask(connection, "SELECT c.email, o.item FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.card = ?", "4203"));
        connection.setAutoCommit(false);
        try (PreparedStatement statement = connection.prepareStatement("SELECT email, age FROM customers ORDER BY age")) {
            statement.setFetchSize(6);
            ResultSet result = statement.executeQuery();
            List<String> types = new ArrayList<>();
            for (int i = 1; i <= 2; i++) types.add(result.getMetaData().getColumnTypeName(i) + "/" + result.getMetaData().getColumnClassName(i));
            show("types", types);
            show("fetched", rows(result));
        }
        connection.commit();
        connection.setAutoCommit(true);
    }

    static void writes(Connection connection) throws SQLException {
        show("returning", ask(connection, "UPDATE customers SET name = ?, age = ? WHERE email = ? RETURNING name, age", "Ada King", 37, "Ada@example.com"));
        String upsert = "INSERT INTO customers (email, age) VALUES (?, ?) ON CONFLICT (email) DO UPDATE SET age = EXCLUDED.age RETURNING email, age";
        show("upsert", ask(connection, upsert, "user01@example.com", 70));
        show("upsert", ask(connection, upsert, "new@example.com", 71));
        try (Statement statement = connection.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
            ResultSet result = statement.executeQuery("SELECT id, email, age FROM customers WHERE age > 69");
            while (result.next()) {
                result.updateInt("age", result.getInt("age") + 100);
                result.updateRow();
            }
            result.close();
        }
        show("updated", ask(connection, "SELECT age FROM customers WHERE age > ? ORDER BY age", 100));
        show("deleted", ask(connection, "DELETE FROM customers WHERE email = ? RETURNING id", "user19@example.com").size());
    }

    static void failures(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        ask(connection, "INSERT INTO customers (email) VALUES (?) RETURNING 1", "kept@example.com");
        Savepoint savepoint = connection.setSavepoint("before");
        show("duplicate", state(() -> ask(connection, "INSERT INTO customers (email) VALUES (?) RETURNING 1", "Ada@example.com")));
        show("failed", state(() -> ask(connection, "SELECT 1")));
        connection.rollback(savepoint);
        connection.commit();
        connection.setAutoCommit(true);
        show("kept", ask(connection, "SELECT count(*) FROM customers WHERE email = ?", "kept@example.com"));
        show("null", state(() -> ask(connection, "INSERT INTO customers (email) VALUES (?) RETURNING 1", (Object) null)));
        show("bad value", state(() -> ask(connection, "SELECT id FROM customers WHERE age = CAST(? AS int)", "old")));
    }

    static List<List<Object>> named(ResultSet result, String... columns) throws SQLException {
        List<List<Object>> rows = new ArrayList<>();
        while (result.next()) {
            List<Object> row = new ArrayList<>();
            for (String column : columns) row.add(String.valueOf(result.getObject(column)));
            rows.add(row);
        }
        result.close();
        return rows;
    }

    static void reflection(Connection connection) throws SQLException {
        DatabaseMetaData data = connection.getMetaData();
        for (String table : new String[] {"customers", "orders"}) {
            show("columns", named(data.getColumns(null, "public", table, "%"), "COLUMN_NAME", "DATA_TYPE", "TYPE_NAME", "COLUMN_SIZE", "NULLABLE", "IS_AUTOINCREMENT"));
            show("indexes", named(data.getIndexInfo(null, "public", table, false, true), "INDEX_NAME", "NON_UNIQUE", "COLUMN_NAME", "ASC_OR_DESC"));
            show("key", named(data.getPrimaryKeys(null, "public", table), "COLUMN_NAME", "PK_NAME"));
            show("imported", named(data.getImportedKeys(null, "public", table), "PKTABLE_NAME", "FKCOLUMN_NAME"));
        }
    }

    public static void main(String[] args) throws SQLException {
        try (HikariDataSource pool = pool(false, "");
            Connection connection = pool.getConnection()) {
            migrate(connection);
            seed(connection);
            queries(connection);
            writes(connection);
            failures(connection);
        }
        try (HikariDataSource pool = pool(false, "reWriteBatchedInserts=true&prepareThreshold=1&binaryTransfer=true");
            Connection connection = pool.getConnection()) {
            ask(connection, "DELETE FROM orders RETURNING 1");
            ask(connection, "DELETE FROM customers RETURNING 1");
            ask(connection, "SELECT setval('customers_id_seq', 1, false), setval('orders_id_seq', 1, false)");
            seed(connection);
            queries(connection);
        }
        try (HikariDataSource pool = pool(true, "");
            Connection connection = pool.getConnection()) {
            reflection(connection);
        }
        System.out.println("done");
    }
}
