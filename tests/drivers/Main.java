import java.math.BigDecimal;
import java.sql.*;
import java.time.*;
import java.util.*;

/** pgjdbc: named statements and binary transfer from the fifth run on, batches, fetch size, generated keys, savepoints. */
public class Main {
    static final String COLUMNS = "id, plain, email, name, age, big, small, ok, price, ratio, born, seen, uid, blob, doc";
    static boolean simple;
    static final UUID SOME = UUID.fromString("0d3bb0f6-8b6c-4f0b-9c5e-1d2d3a4b5c6d");

    interface Action { void run() throws SQLException; }

    public static void main(String[] args) throws Exception {
        for (String mode : List.of("extended", "simple")) {
            System.out.println("== " + mode);
            simple = mode.equals("simple");
            try (Connection c = open(mode)) {
                insert(c);
                select(c);
                batches(c);
                fetchSize(c);
                transactions(c);
            }
            try (Connection c = open(mode); Statement s = c.createStatement()) {
                rows("reconnected", s.executeQuery("SELECT id, email FROM people WHERE email = 'm3@example.com'"));
                System.out.println("deleted " + s.executeUpdate("DELETE FROM people"));
            }
        }
        System.out.println("done");
    }

    static Connection open(String mode) throws SQLException {
        var url = java.net.URI.create(System.getenv("DATABASE_URL"));
        String[] login = url.getUserInfo().split(":", 2);
        var properties = new Properties();
        properties.put("user", login[0]);
        if (login.length > 1) properties.put("password", login[1]);
        properties.put("preferQueryMode", mode);
        properties.put("sslmode", "disable");
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        return DriverManager.getConnection("jdbc:postgresql://" + url.getHost() + ":" + url.getPort() + url.getPath(), properties);
    }

    static void rows(String label, ResultSet result) throws SQLException {
        var meta = result.getMetaData();
        var types = new ArrayList<String>();
        for (int i = 1; i <= meta.getColumnCount(); i++) types.add(meta.getColumnLabel(i) + ":" + meta.getColumnTypeName(i));
        System.out.println(label + " " + types);
        while (result.next()) {
            var values = new ArrayList<String>();
            for (int i = 1; i <= meta.getColumnCount(); i++) {
                Object value = result.getObject(i);
                values.add(value instanceof byte[] bytes ? Arrays.toString(bytes) : String.valueOf(value));
            }
            System.out.println("  " + values);
        }
        result.close();
    }

    // The driver cannot inline a byte array; what it inlines is the text form.
    static void setBytes(PreparedStatement s, int index, byte[] bytes) throws SQLException {
        if (simple) s.setObject(index, "\\x" + HexFormat.of().formatHex(bytes), Types.OTHER);
        else s.setBytes(index, bytes);
    }

    static String sqlstate(Action action) {
        try {
            action.run();
            return "no error";
        } catch (BatchUpdateException e) {
            return e.getSQLState() + " " + Arrays.toString(e.getUpdateCounts());
        } catch (SQLException e) {
            return e.getSQLState();
        }
    }

    static void insert(Connection c) throws SQLException {
        var marks = String.join(", ", Collections.nCopies(14, "?")) + ", ?::jsonb";
        try (var s = c.prepareStatement("INSERT INTO people (" + COLUMNS + ") VALUES (" + marks + ")")) {
            Object[] row = {1, "one", "a@example.com", "O'Brien \\ ü", 42, 9007199254740993L, (short) -7, true, new BigDecimal("12.50"), 0.1d,
                LocalDate.of(1969, 7, 20), OffsetDateTime.of(1969, 7, 20, 20, 17, 40, 0, ZoneOffset.UTC), SOME, new byte[] {0, -1}, "{\"k\": [1]}"};
            for (int i = 0; i < row.length; i++) if (i != 13) s.setObject(i + 1, row[i]);
            setBytes(s, 14, (byte[]) row[13]);
            System.out.println("inserted " + s.executeUpdate());
            s.setInt(1, 2);
            s.setString(3, "b@example.com");
            s.setString(4, "");
            s.setDouble(10, Double.NEGATIVE_INFINITY);
            setBytes(s, 14, new byte[0]);
            System.out.println("inserted " + s.executeUpdate());
            s.setInt(1, 3);
            int[] types = {Types.VARCHAR, Types.VARCHAR, Types.VARCHAR, Types.INTEGER, Types.BIGINT, Types.SMALLINT, Types.BOOLEAN, Types.NUMERIC,
                Types.DOUBLE, Types.DATE, Types.TIMESTAMP_WITH_TIMEZONE, Types.OTHER, Types.BINARY, Types.VARCHAR};
            for (int i = 0; i < types.length; i++) s.setNull(i + 2, types[i]);
            System.out.println("nulls " + s.executeUpdate());
        }
        try (var s = c.prepareStatement("INSERT INTO people (id, email, age) VALUES (?, ?, ?)", new String[] {"email", "age"})) {
            s.setInt(1, 4);
            s.setString(2, "d@example.com");
            s.setObject(3, 4);
            s.executeUpdate();
            rows("generated", s.getGeneratedKeys());
        }
    }

    static void select(Connection c) throws SQLException {
        try (var s = c.prepareStatement("SELECT " + COLUMNS + " FROM people ORDER BY id")) {
            for (int run = 0; run < 7; run++) rows("all " + run, s.executeQuery());
        }
        var operands = new LinkedHashMap<String, Object>();
        operands.put("email", "a@example.com");
        operands.put("name", "");
        operands.put("age", 42);
        operands.put("big", 9007199254740993L);
        operands.put("ok", true);
        operands.put("price", new BigDecimal("12.5"));
        operands.put("ratio", 0.1d);
        operands.put("born", LocalDate.of(1969, 7, 20));
        operands.put("seen", OffsetDateTime.of(1969, 7, 20, 20, 17, 40, 0, ZoneOffset.UTC));
        operands.put("uid", SOME);
        operands.put("blob", new byte[] {0, -1});
        for (var operand : operands.entrySet()) {
            try (var s = c.prepareStatement("SELECT id, " + operand.getKey() + " FROM people WHERE " + operand.getKey() + " = ? ORDER BY id")) {
                for (int run = 0; run < 7; run++) {
                    if (operand.getValue() instanceof byte[] bytes) setBytes(s, 1, bytes);
                    else s.setObject(1, operand.getValue());
                    rows("by " + operand.getKey() + " " + run, s.executeQuery());
                }
            }
        }
        try (var s = c.prepareStatement("SELECT id FROM people WHERE email = ANY (?) ORDER BY id")) {
            s.setArray(1, c.createArrayOf("text", new String[] {"a@example.com", "d@example.com", null}));
            rows("any", s.executeQuery());
        }
        try (var s = c.prepareStatement("SELECT id FROM people WHERE age = ANY (?) ORDER BY id")) {
            s.setArray(1, c.createArrayOf("int4", new Integer[] {42, 4}));
            rows("any int", s.executeQuery());
        }
        try (var s = c.prepareStatement("SELECT id FROM people WHERE email IN (?, ?) ORDER BY id")) {
            s.setString(1, "a@example.com");
            s.setString(2, "b@example.com");
            rows("in", s.executeQuery());
        }
        if (simple) return; // the driver cannot describe then
        try (var s = c.prepareStatement("SELECT id, email FROM people WHERE email = ?")) {
            System.out.println("parameter " + s.getParameterMetaData().getParameterTypeName(1));
            System.out.println("column " + s.getMetaData().getColumnTypeName(2));
        }
    }

    static void batches(Connection c) throws SQLException {
        try (var s = c.prepareStatement("INSERT INTO people (id, email, age) VALUES (?, ?, ?)")) {
            for (int i = 0; i < 300; i++) {
                s.setInt(1, 100 + i);
                s.setString(2, "m" + i + "@example.com");
                s.setInt(3, i % 3);
                s.addBatch();
            }
            System.out.println("batch " + Arrays.stream(s.executeBatch()).sum());
            for (int i = 0; i < 4; i++) {
                s.setInt(1, 500 + i);
                s.setString(2, i == 2 ? "a@example.com" : "n" + i + "@example.com");
                s.setInt(3, i);
                s.addBatch();
            }
            System.out.println("failing batch " + sqlstate(s::executeBatch));
        }
        try (var s = c.createStatement()) {
            rows("after", s.executeQuery("SELECT id FROM people WHERE email IN ('n0@example.com', 'n1@example.com', 'n3@example.com') ORDER BY id"));
            s.addBatch("UPDATE people SET age = 9 WHERE email = 'm1@example.com'");
            s.addBatch("DELETE FROM people WHERE email = 'm2@example.com'");
            System.out.println("statements " + Arrays.toString(s.executeBatch()));
            boolean more = s.execute("UPDATE people SET age = 8 WHERE id = 1; SELECT email FROM people WHERE age = 8; SELECT 1 AS one");
            System.out.println("several " + more + " " + s.getUpdateCount());
            while (s.getMoreResults()) rows("result", s.getResultSet());
        }
    }

    static void fetchSize(Connection c) throws SQLException {
        c.setAutoCommit(false);
        try (var s = c.prepareStatement("SELECT id, email FROM people WHERE age = ? ORDER BY id")) {
            s.setFetchSize(7);
            for (int run = 0; run < 7; run++) {
                s.setInt(1, 1);
                try (var result = s.executeQuery()) {
                    int count = 0;
                    String last = null;
                    while (result.next()) {
                        count++;
                        last = result.getString("email");
                    }
                    System.out.println("fetched " + count + " " + last);
                }
            }
        }
        c.commit();
        c.setAutoCommit(true);
    }

    static void transactions(Connection c) throws SQLException {
        c.setAutoCommit(false);
        try (var s = c.createStatement(); var insert = c.prepareStatement("INSERT INTO people (id, email) VALUES (?, ?)")) {
            s.executeUpdate("UPDATE people SET email = 'changed@example.com' WHERE id = 1");
            Savepoint savepoint = c.setSavepoint("here");
            insert.setInt(1, 900);
            insert.setString(2, "b@example.com");
            System.out.println("duplicate " + sqlstate(insert::executeUpdate));
            System.out.println("failed " + sqlstate(() -> s.executeQuery("SELECT 1")));
            c.rollback(savepoint);
            rows("in transaction", s.executeQuery("SELECT id FROM people WHERE email = 'changed@example.com'"));
            c.rollback();
            rows("rolled back", s.executeQuery("SELECT email FROM people WHERE id = 1"));
            c.commit();
            System.out.println("bad value " + sqlstate(() -> s.executeQuery("SELECT id FROM people WHERE age = 'no number'")));
            c.rollback();
        }
        c.setAutoCommit(true);
    }
}
