import java.io.Serializable;
import java.math.BigDecimal;
import java.net.URI;
import java.sql.Connection;
import java.sql.Date;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Properties;
import javax.persistence.CascadeType;
import javax.persistence.Column;
import javax.persistence.Entity;
import javax.persistence.FetchType;
import javax.persistence.GeneratedValue;
import javax.persistence.GenerationType;
import javax.persistence.Id;
import javax.persistence.JoinColumn;
import javax.persistence.ManyToOne;
import javax.persistence.OneToMany;
import javax.persistence.OrderBy;
import javax.persistence.Table;
import javax.persistence.UniqueConstraint;
import javax.persistence.Version;
import org.hibernate.Criteria;
import org.hibernate.HibernateException;
import org.hibernate.JDBCException;
import org.hibernate.LockMode;
import org.hibernate.Query;
import org.hibernate.ScrollMode;
import org.hibernate.ScrollableResults;
import org.hibernate.Session;
import org.hibernate.SessionFactory;
import org.hibernate.StatelessSession;
import org.hibernate.Transaction;
import org.hibernate.annotations.BatchSize;
import org.hibernate.annotations.Index;
import org.hibernate.cfg.Configuration;
import org.hibernate.criterion.DetachedCriteria;
import org.hibernate.criterion.Example;
import org.hibernate.criterion.MatchMode;
import org.hibernate.criterion.Order;
import org.hibernate.criterion.Projections;
import org.hibernate.criterion.Property;
import org.hibernate.criterion.Restrictions;
import org.hibernate.dialect.Dialect;
import org.hibernate.dialect.PostgreSQLDialect;
import org.hibernate.tool.hbm2ddl.DatabaseMetadata;
import org.hibernate.tool.hbm2ddl.SchemaValidator;

/** Hibernate: the schema of its models, HQL and criteria, lazy and eager relations, batches, versions, and the comparison of models with the catalogs. */
public class App {
    static final boolean SEALED = System.getenv("SEALED") != null;

    @Entity(name = "Customer")
    @Table(name = "customers", uniqueConstraints = @UniqueConstraint(columnNames = {"city", "phone"}))
    @BatchSize(size = 4)
    public static class Customer implements Serializable {
        @Id @GeneratedValue(strategy = GenerationType.AUTO) Integer id;
        @Version Integer version;
        @Column(columnDefinition = "seal.text_search", nullable = false, unique = true) String email;
        @Column(columnDefinition = "seal.varchar_ord") @Index(name = "customers_name") String name;
        @Column(columnDefinition = "seal.int4_ord") Integer age;
        @Column(columnDefinition = "seal.numeric_ord") BigDecimal balance;
        @Column(columnDefinition = "seal.date_ord") Date born;
        @Column(columnDefinition = "seal.bool_eq") Boolean active;
        @Column(columnDefinition = "seal.bytea_eq") byte[] picture;
        @Column(columnDefinition = "seal.text_search") String phone;
        String city;
        @OneToMany(mappedBy = "customer", cascade = CascadeType.ALL, orphanRemoval = true)
        @OrderBy("id")
        List<Purchase> purchases = new ArrayList<Purchase>();

        public Customer() {}

        Customer(String email, Integer age) {
            this.email = email;
            this.age = age;
        }

        public String toString() {
            return Arrays.asList(email, name, age, balance, born, active, picture == null ? null : Arrays.toString(picture), phone, city, version).toString();
        }
    }

    @Entity(name = "Purchase")
    @Table(name = "purchases")
    public static class Purchase implements Serializable {
        @Id @GeneratedValue(strategy = GenerationType.IDENTITY) Integer id;
        @ManyToOne(fetch = FetchType.LAZY) @JoinColumn(nullable = false) Customer customer;
        String item;
        @Column(columnDefinition = "seal.text_eq") String card;

        public Purchase() {}

        Purchase(Customer customer, String item, String card) {
            this.customer = customer;
            this.item = item;
            this.card = card;
            customer.purchases.add(this);
        }

        public String toString() {
            return item + "/" + card;
        }
    }

    static String sealed(String sql) {
        return SEALED ? sql : sql.replaceAll("seal\\.([a-z0-9]+?)(_eq|_ord|_match|_search)?(?![a-z0-9_])", "$1");
    }

    static void show(String label, Object value) {
        if (value instanceof List) {
            List<Object> shown = new ArrayList<Object>();
            for (Object row : (List<?>) value) shown.add(row instanceof Object[] ? Arrays.asList((Object[]) row) : row);
            value = shown;
        }
        System.out.println(label + " " + (value instanceof Object[] ? Arrays.asList((Object[]) value) : value));
    }

    static String url(String more) {
        URI url = URI.create(System.getenv("DATABASE_URL"));
        return "jdbc:postgresql://" + url.getHost() + ":" + url.getPort() + url.getPath() + "?" + more;
    }

    static Properties login() {
        String[] user = URI.create(System.getenv("DATABASE_URL")).getUserInfo().split(":");
        Properties login = new Properties();
        login.setProperty("user", user[0]);
        if (user.length > 1) login.setProperty("password", user[1]);
        return login;
    }

    static Configuration configuration(String more) {
        Configuration configuration = new Configuration();
        configuration.addAnnotatedClass(Customer.class).addAnnotatedClass(Purchase.class);
        configuration.setProperty("hibernate.dialect", PostgreSQLDialect.class.getName());
        configuration.setProperty("hibernate.connection.url", url(more));
        configuration.setProperty("hibernate.connection.username", login().getProperty("user"));
        configuration.setProperty("hibernate.connection.password", login().getProperty("password", ""));
        configuration.setProperty("hibernate.jdbc.batch_size", "8");
        configuration.setProperty("hibernate.order_inserts", "true");
        configuration.setProperty("hibernate.order_updates", "true");
        return configuration;
    }

    static void migrate(Dialect dialect) throws SQLException {
        try (Connection connection = DriverManager.getConnection(url(""), login())) {
            for (String statement : configuration("").generateSchemaCreationScript(dialect)) connection.createStatement().execute(sealed(statement));
            for (String statement : configuration("").generateDropSchemaScript(dialect)) connection.createStatement().execute(statement);
            for (String statement : configuration("").generateSchemaCreationScript(dialect)) connection.createStatement().execute(sealed(statement));
        }
    }

    interface Work {
        void with(Session session);
    }

    static void within(SessionFactory factory, Work work) {
        Session session = factory.openSession();
        Transaction transaction = session.beginTransaction();
        try {
            work.with(session);
            transaction.commit();
        } finally {
            if (transaction.isActive()) transaction.rollback();
            session.close();
        }
    }

    static String state(SessionFactory factory, Work work) {
        try {
            within(factory, work);
            return "no error";
        } catch (JDBCException error) {
            SQLException cause = error.getSQLException();
            while (cause.getNextException() != null) cause = cause.getNextException();
            return error.getClass().getSimpleName() + " " + cause.getSQLState();
        } catch (HibernateException error) {
            return error.getClass().getSimpleName();
        }
    }

    static void seed(Session session) {
        Customer ada = new Customer("Ada@example.com", 36);
        ada.name = "Ada Lovelace";
        ada.balance = new BigDecimal("12.50");
        ada.born = Date.valueOf("1815-12-10");
        ada.active = true;
        ada.picture = new byte[] {0, -1, 92};
        ada.phone = "+44 1";
        ada.city = "London";
        new Purchase(ada, "engine", "4111");
        new Purchase(ada, "loom", null);
        show("saved", session.save(ada) != null);
        for (int i = 0; i < 20; i++) {
            Customer customer = new Customer(String.format("user%02d@example.com", i), 20 + i);
            customer.name = "User " + i % 7;
            customer.balance = new BigDecimal(i).divide(new BigDecimal(4));
            customer.born = Date.valueOf(java.time.LocalDate.of(1990, 1, i + 1));
            customer.city = i % 2 == 0 ? "Paris" : "Rome";
            if (i < 6) new Purchase(customer, "item " + i, "420" + i);
            session.save(customer);
        }
        session.flush();
    }

    static void hql(Session session) {
        String by = "select c.email from Customer c where ";
        String[] conditions = {"c.email = 'Ada@example.com'", "c.email in ('user01@example.com', 'none')", "c.name is null", "c.age between 22 and 25",
            "c.born < '1990-01-03'", "c.balance >= 4.5", "c.email like 'user0%'", "lower(c.email) = 'ada@example.com'", "upper(c.email) like 'USER1%'", "c.active = true",
            "c.age = 36 or c.name = 'User 3'", "not (c.age < 38)", "coalesce(c.name, 'none') = 'User 4'", "c.phone is not null and c.age <> 20"};
        for (String condition : conditions) show(condition, session.createQuery(by + condition + " order by c.id").list());
        for (int run = 0; run < 7; run++) {
            show("named", session.createQuery("from Customer c where c.email = :email").setString("email", "Ada@example.com").list());
        }
        show("list", session.createQuery(by + "c.email in (:all) order by c.id").setParameterList("all", new Object[] {"user02@example.com", "user03@example.com"}).list());
        show("optional", session.createQuery(by + "(:name is null or c.name = :name) and c.age < :age order by c.id").setString("name", null).setInteger("age", 22).list());
        show("optional", session.createQuery(by + "(:name is null or c.name = :name) order by c.id").setString("name", "User 4").list());
        show("lower", session.createQuery(by + "lower(c.email) like lower(:part) order by c.id").setString("part", "%USER1%").list());
        show("pattern", session.createQuery(by + "c.email like concat('%', :part, '%') order by c.id").setString("part", "user1").list());
        for (int first = 0; first < 24; first += 8) {
            show("page", session.createQuery("select c.name, c.email from Customer c order by c.name, c.id").setFirstResult(first).setMaxResults(8).list());
        }
        show("extremes", session.createQuery("select min(c.age), max(c.born), sum(c.balance), avg(c.age), count(distinct c.name) from Customer c").list());
        show("groups", session.createQuery("select c.name, count(*), max(c.age) from Customer c group by c.name having count(*) > 2 order by c.name").list());
        show("join", session.createQuery("select c.email, p.item from Purchase p join p.customer c where p.card = :card").setString("card", "4203").list());
        show("fetch", session.createQuery("select distinct c from Customer c left join fetch c.purchases where c.age < 23 order by c.age").list());
        show("exists", session.createQuery(by + "exists (select 1 from Purchase p where p.customer = c and p.card = '4202')").list());
        show("subquery", session.createQuery(by + "c.age = (select max(o.age) from Customer o)").list());
        show("size", session.createQuery(by + "size(c.purchases) > 1").list());
        show("joined text", session.createQuery("select concat(c.name, ', ', c.email) from Customer c where c.age = 36").list());
        show("case", session.createQuery("select case when c.age > 30 then c.name else 'young' end from Customer c where c.age in (22, 36) order by c.age").list());
    }

    static void criteria(Session session) {
        Criteria found = session.createCriteria(Customer.class);
        found.add(Restrictions.ilike("email", "USER1", MatchMode.START)).add(Restrictions.gt("age", 33)).addOrder(Order.desc("age"));
        show("ilike", found.list());
        show("ignoring case", session.createCriteria(Customer.class).add(Restrictions.eq("email", "ADA@example.com").ignoreCase()).uniqueResult());
        show("like", session.createCriteria(Customer.class).add(Restrictions.like("email", "user01", MatchMode.ANYWHERE)).list());
        show("in", session.createCriteria(Customer.class).add(Restrictions.in("name", new Object[] {"User 1", "User 2"})).addOrder(Order.asc("id")).list());
        Example example = Example.create(new Customer(null, 24)).excludeProperty("version");
        show("example", session.createCriteria(Customer.class).add(example).list());
        Criteria groups = session.createCriteria(Customer.class).add(Restrictions.isNotNull("name"));
        groups.setProjection(Projections.projectionList().add(Projections.groupProperty("name"), "who").add(Projections.rowCount()).add(Projections.min("born")));
        show("groups", groups.addOrder(Order.asc("who")).list());
        show("count", session.createCriteria(Customer.class).setProjection(Projections.countDistinct("name")).uniqueResult());
        DetachedCriteria buyers = DetachedCriteria.forClass(Purchase.class).add(Restrictions.eq("card", "4204")).setProjection(Property.forName("customer.id"));
        show("subquery", session.createCriteria(Customer.class).add(Property.forName("id").in(buyers)).list());
        Criteria joined = session.createCriteria(Purchase.class).addOrder(Order.asc("id")).createCriteria("customer").add(Restrictions.lt("age", 24));
        show("joined", joined.list());
        show("page", session.createCriteria(Customer.class).addOrder(Order.asc("name")).addOrder(Order.asc("id")).setFirstResult(5).setMaxResults(5).list());
    }

    static void relations(Session session) {
        List<?> lazy = session.createQuery("from Customer c where c.age between 20 and 27 order by c.age").list();
        for (Object each : lazy) show("lazy", ((Customer) each).purchases);
        session.clear();
        for (Object each : session.createQuery("from Purchase p order by p.id").list()) show("proxy", ((Purchase) each).customer.email);
        session.clear();
        Query scrolled = session.createQuery("from Customer c where c.age < 26 order by c.age").setFetchSize(2);
        ScrollableResults rows = scrolled.scroll(ScrollMode.FORWARD_ONLY);
        while (rows.next()) show("scrolled", ((Customer) rows.get(0)).age);
        rows.close();
        String sql = "SELECT {c.*} FROM customers c WHERE c.email = ?";
        show("native", session.createSQLQuery(sql).addEntity("c", Customer.class).setString(0, "user05@example.com").list());
        show("scalar", session.createSQLQuery("SELECT email, age, born, balance, active FROM customers WHERE age > 37 ORDER BY age").list());
    }

    static Customer find(Session session, String email) {
        return (Customer) session.createQuery("from Customer c where c.email = :email").setString("email", email).uniqueResult();
    }

    static void writes(SessionFactory factory) {
        within(factory, session -> {
            Customer ada = find(session, "Ada@example.com");
            ada.name = "Ada King";
            ada.age += 1;
            ada.purchases.remove(0);
        });
        within(factory, session -> show("changed", find(session, "Ada@example.com")));
        within(factory, session -> {
            show("update", session.createQuery("update Customer c set c.phone = :phone, c.active = false where c.name = :name").setString("phone", null).setString("name", "User 2").executeUpdate());
            show("versioned", session.createQuery("update versioned Customer c set c.name = :name where c.email = 'user03@example.com'").setString("name", "Norse").executeUpdate());
            show("delete", session.createQuery("delete from Customer c where c.email = :email").setString("email", "user19@example.com").executeUpdate());
            for (Object each : session.createQuery("from Customer c where c.age < 30").list()) ((Customer) each).balance = new BigDecimal("7.25");
        });
        within(factory, session -> show("batch", session.createQuery("select count(*) from Customer c where c.balance = 7.25").uniqueResult()));
        StatelessSession stateless = factory.openStatelessSession();
        Transaction transaction = stateless.beginTransaction();
        stateless.insert(new Customer("stateless@example.com", 5));
        transaction.commit();
        stateless.close();
        within(factory, session -> {
            Customer locked = find(session, "stateless@example.com");
            session.refresh(locked);
            session.lock(locked, LockMode.UPGRADE);
            show("locked", locked);
            session.delete(locked);
        });
    }

    static void failures(SessionFactory factory) {
        show("duplicate", state(factory, session -> {
            session.save(new Customer("lost@example.com", 1));
            session.save(new Customer("Ada@example.com", 1));
            session.flush();
        }));
        show("null", state(factory, session -> session.createSQLQuery("INSERT INTO customers (id, version, email) VALUES (-1, 0, ?)").setString(0, null).executeUpdate()));
        show("bad value", state(factory, session -> session.createSQLQuery("SELECT id FROM customers WHERE age = 'old'").list()));
        show("stale", state(factory, session -> {
            Customer ada = find(session, "Ada@example.com");
            session.createSQLQuery("UPDATE customers SET version = version + 1 WHERE email = 'Ada@example.com'").executeUpdate();
            ada.age = 1;
            session.flush();
        }));
        within(factory, session -> show("lost", find(session, "lost@example.com")));
    }

    /** The same models without the types of the columns, as where other migrations make those. */
    static Configuration withPlainTypes(Configuration configuration) {
        configuration.buildMappings();
        for (Iterator<?> tables = configuration.getTableMappings(); tables.hasNext();) {
            Iterator<?> columns = ((org.hibernate.mapping.Table) tables.next()).getColumnIterator();
            while (columns.hasNext()) ((org.hibernate.mapping.Column) columns.next()).setSqlType(null);
        }
        return configuration;
    }

    static void reflection(Dialect dialect) throws SQLException {
        String plain = "options=-c%20columnseal.introspection=plain";
        new SchemaValidator(withPlainTypes(configuration(plain))).validate();
        try (Connection connection = DriverManager.getConnection(url(plain), login())) {
            for (String difference : withPlainTypes(configuration(plain)).generateSchemaUpdateScript(dialect, new DatabaseMetadata(connection, dialect))) show("difference", difference);
        }
    }

    public static void main(String[] args) throws SQLException {
        Dialect dialect = new PostgreSQLDialect();
        migrate(dialect);
        SessionFactory factory = configuration("").buildSessionFactory();
        within(factory, session -> seed(session));
        within(factory, session -> hql(session));
        within(factory, session -> criteria(session));
        within(factory, session -> relations(session));
        writes(factory);
        failures(factory);
        factory.close();
        reflection(dialect);
        System.out.println("done");
    }
}
