//! Values sealed and opened, from a client's statements to the pages.

use crate::support::{Cluster, KeyServer, Options, Proxy, ProxyOptions, Workspace};

use super::{Browser, Dashboard};

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, a seal.text_eq, b seal.int8, l seal.text[])";

/// Statements whose values are counted by hand: sealed 8 and opened 15 of `default`, sealed 3 and opened 6 of `tenant`, 1 refused.
fn work(cluster: &Cluster, proxy: &Proxy) {
    let shop = proxy.database(cluster);
    shop.sql(TABLE);
    shop.sql(
        "INSERT INTO t VALUES (1, 'one', 1, NULL), (2, 'two', NULL, ARRAY['x', NULL, 'y']);
         COPY t (id, a) FROM STDIN;
3\tthree
4\tfour
5\tfive
\\.
         SELECT a FROM t ORDER BY id;
         SELECT a FROM t WHERE a = 'two';
         SELECT l FROM t ORDER BY id;
         SELECT id FROM t WHERE a = 'one';
         SELECT sum(b) FROM t;
         COPY t (a, b) TO STDOUT;",
    );
    shop.sql(
        "SET columnseal.keyset = 'tenant';
         INSERT INTO t VALUES (6, 'six', 6, NULL), (7, 'seven', NULL, NULL);
         SELECT a, b FROM t WHERE id > 5;
         SELECT a, b FROM t WHERE id > 5;",
    );
    shop.psql("SELECT md5(a) FROM t").failed();
}

/// The numbers of a keyset's page.
fn shown(browser: &mut Browser, keyset: &str) -> (String, String) {
    let page = browser.get(&format!("/keysets/{keyset}")).body;
    let number = |after: &str| {
        let end = page.find(after).unwrap_or_else(|| panic!("{after} is not on the page: {page}"));
        let start = page[..end].rfind("<strong>").expect("a number") + "<strong>".len();
        page[start..end].trim_end_matches("</strong>").to_owned()
    };
    (number("</strong> sealed in 30 days"), number("</strong> opened"))
}

fn expect(browser: &mut Browser) {
    let (default, tenant) = (shown(browser, "default"), shown(browser, "tenant"));
    assert_eq!((default.0.as_str(), default.1.as_str()), ("8", "15"), "default");
    assert_eq!((tenant.0.as_str(), tenant.1.as_str()), ("3", "6"), "tenant");
    let page = browser.get("/").body;
    for text in ["Sealed per second", "11 in three hours", "21 in three hours", "Statements refused, 3 h"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(page.contains("Statements refused by proxies by five minutes: 1 in all"), "{page}");
}

#[test]
fn a_key_server_shows_what_its_proxies_sealed_and_opened() {
    let cluster = Cluster::start(Options::default());
    let database = cluster.database("shop");
    let mut server = KeyServer::start_plain();
    let admin = Workspace::found(&server, Some(&database));
    admin.columnseal(&["keyset", "create", "tenant"]).ok();
    let client = admin.client_create("web", &["default", "tenant"]);
    let mut proxy = Proxy::start_with(&admin, &client, &database, &ProxyOptions::default());
    let login = || admin.columnseal(&["login", "--no-open"]).ok().trim().to_owned();
    let mut browser = Browser::signed_in(server.port, &login());
    assert!(browser.get("/").body.contains("No values in the last three hours"));
    assert!(browser.get("/keysets/default").body.contains("No values in 30 days"));
    work(&cluster, &proxy);
    proxy.signal("TERM");
    proxy.wait_exit();
    expect(&mut browser);
    let local = Dashboard::start(&admin);
    expect(&mut local.browser());
    server.signal("TERM");
    server.wait_exit();
    server.restart();
    server.wait_ready();
    expect(&mut browser);
    // A proxy tells while it runs, too.
    let proxy = Proxy::start_with(&admin, &client, &database, &ProxyOptions::default());
    proxy.database(&cluster).sql("INSERT INTO t (id, a) VALUES (8, 'eight')");
    crate::support::eventually("the running proxy tells", || (shown(&mut browser, "default").0 == "9").then_some(()));
}

#[test]
fn an_embedded_store_keeps_the_same() {
    let cluster = Cluster::start(Options::default());
    let database = cluster.database("shop");
    let workspace = Workspace::init(&database);
    workspace.columnseal(&["keyset", "create", "tenant"]).ok();
    let client = workspace.client_create("web", &["default", "tenant"]);
    let dashboard = Dashboard::start(&workspace);
    let mut browser = dashboard.browser();
    assert!(browser.get("/").body.contains("No values in the last three hours"));
    let mut proxy = Proxy::start_with(&workspace, &client, &database, &ProxyOptions::default());
    work(&cluster, &proxy);
    proxy.signal("TERM");
    proxy.wait_exit();
    expect(&mut browser);
}
