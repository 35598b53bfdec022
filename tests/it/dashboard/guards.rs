//! What guards the dashboard on the admin's machine, embedded and with a key server.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::support::{Cluster, KeyServer, Options, Relay, Workspace, eventually};

use super::browser::ticket;
use super::{Answer, Browser, Dashboard};

const PAGES: [&str; 12] = [
    "/",
    "/clients",
    "/clients/new",
    "/clients/approve",
    "/clients/web",
    "/clients/web/grant",
    "/keysets",
    "/keysets/default",
    "/devices",
    "/types",
    "/audit",
    "/nothing",
];

/// An embedded workspace with a client, and its dashboard.
struct Embedded {
    _cluster: Cluster,
    workspace: Workspace,
    dashboard: Dashboard,
}

fn embedded() -> Embedded {
    embedded_with(&[])
}

fn embedded_with(more: &[&str]) -> Embedded {
    let cluster = Cluster::start(Options::default());
    let workspace = Workspace::init(&cluster.database("shop"));
    workspace.client_create("web", &["default"]);
    let dashboard = Dashboard::start_with(&workspace, more);
    Embedded { _cluster: cluster, workspace, dashboard }
}

impl Embedded {
    /// Whether client `web` has its grant.
    fn granted(&self) -> bool {
        self.workspace.columnseal(&["client", "show", "web", "--json"]).ok().contains("\"keyset_name\": \"default\"")
    }
}

/// What every answer brings, whatever it is.
fn is_guarded(answer: &Answer, path: &str) {
    let policy = answer.header("content-security-policy").unwrap_or_default();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{path}: {policy}");
    for (name, value) in
        [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("referrer-policy", "same-origin")]
    {
        assert_eq!(answer.header(name), Some(value), "{path}");
    }
    if !path.starts_with("/assets/") {
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    }
    let body = &answer.body;
    for inline in ["style=", "<style", "onclick", "javascript:", "<script>", "src=\"http", "href=\"http", "src=\"//"] {
        assert!(!body.contains(inline), "{path} has {inline}");
    }
}

#[test]
fn every_answer_is_guarded_and_the_cookie_is_strict() {
    let all = embedded();
    let mut browser = Browser::new(all.dashboard.port);
    let stranger = browser.get("/");
    assert_eq!(stranger.status, 401, "nobody is signed in");
    is_guarded(&stranger, "/");
    let signed = browser.post("/login", &[("ticket", ticket(&all.dashboard.addresses().pop().unwrap()))]);
    is_guarded(&signed, "/login");
    let cookie = signed.header("set-cookie").expect("a cookie").to_owned();
    for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Domain") && !cookie.contains("Max-Age"), "{cookie}");
    for path in PAGES {
        let answer = browser.get(path);
        assert_eq!(answer.status, if path == "/nothing" { 404 } else { 200 }, "{path}: {}", answer.body);
        is_guarded(&answer, path);
        for asset in answer.body.split('"').filter(|part| part.starts_with("/assets/")) {
            let file = browser.get(asset);
            assert_eq!(file.status, 200, "{asset}");
            is_guarded(&file, asset);
        }
        let size = answer.body.len();
        assert!(size < 40 * 1024, "{path}: {size} bytes");
    }
}

#[test]
fn an_address_signs_in_once_and_a_look_at_it_does_nothing() {
    let all = embedded();
    let url = all.dashboard.addresses().pop().unwrap();
    let mut browser = Browser::new(all.dashboard.port);
    let looked = browser.get(&format!("/login?ticket={}", ticket(&url)));
    assert_eq!((looked.status, looked.header("set-cookie")), (200, None));
    for wrong in ["", "x", &ticket(&url)[1..]] {
        assert_eq!(Browser::new(all.dashboard.port).post("/login", &[("ticket", wrong)]).status, 403, "{wrong}");
    }
    let mut first = Browser::signed_in(all.dashboard.port, &url);
    assert_eq!(first.get("/clients").status, 200);
    let mut second = Browser::new(all.dashboard.port);
    let again = second.post("/login", &[("ticket", ticket(&url))]);
    assert_eq!((again.status, again.header("set-cookie")), (403, None), "used before");
    // Whoever knocks makes the command print another, for its terminal alone.
    eventually("a new address is printed", || {
        let answer = second.get("/");
        assert!(!answer.body.contains("ticket="), "it is not on the page");
        (all.dashboard.addresses().len() > 1).then_some(())
    });
    Browser::signed_in(all.dashboard.port, &all.dashboard.addresses().pop().unwrap());
}

#[test]
fn other_names_and_other_pages_are_turned_away() {
    let all = embedded();
    let mut browser = all.dashboard.browser();
    let port = all.dashboard.port;
    for host in ["evil.example", &format!("evil.example:{port}"), "127.0.0.1:1", "127.0.0.1", "0.0.0.0", ""] {
        let answer = browser.raw(&format!("GET / HTTP/1.1\r\nHost: {host}"), b"");
        assert!(matches!(answer.status, 400 | 403) && !answer.body.contains("Overview"), "{host}: {}", answer.body);
    }
    assert_eq!(browser.raw(&format!("GET / HTTP/1.1\r\nHost: localhost:{port}"), b"").status, 200);
    let page = browser.get("/clients/web/revoke?keyset=default");
    let (csrf, stamp) = (page.input("csrf").unwrap(), page.input("stamp").unwrap());
    let fields = [("csrf", csrf.as_str()), ("stamp", stamp.as_str()), ("keyset", "default")];
    for lines in [
        "Origin: http://evil.example",
        "Origin: null",
        &format!("Origin: http://127.0.0.1:{}", port.wrapping_add(1)),
        &format!("Origin: http://localhost:{port}"),
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ] {
        let answer = browser.post_from("/clients/web/revoke", &fields, lines);
        assert_eq!(answer.status, 403, "{lines}");
        assert!(all.granted(), "{lines}");
    }
    let answer = browser.post_from("/clients/web/revoke", &fields, "X-Nothing: 1");
    assert_eq!(answer.status, 303, "a program that says nothing of where it is from: {}", answer.body);
    assert!(!all.granted());
}

#[test]
fn a_form_needs_the_token_of_its_session_and_keeps_what_was_typed() {
    let all = embedded();
    let mut browser = all.dashboard.browser();
    let stamp = browser.get("/clients/web/revoke").input("stamp").unwrap();
    for csrf in ["", "x", "AAAAAAAAAAAAAAAAAAAAAA"] {
        let answer = browser.post("/clients/web/revoke", &[("csrf", csrf), ("stamp", &stamp)]);
        assert_eq!(answer.status, 401, "{csrf:?}");
        assert!(all.granted(), "{csrf:?}");
    }
    // Typed by somebody whose session was over.
    let typed = [("csrf", "x"), ("name", "nightly \"reports\" & more"), ("owner", "data team"), ("allow", "decrypt")];
    let kept = Browser::new(all.dashboard.port).post("/clients/new", &typed);
    assert_eq!(kept.status, 401);
    assert!(kept.body.contains("nightly") && kept.body.contains("data team"), "{}", kept.body);
    assert_eq!(kept.input("csrf"), None);
    let again =
        [("to", "/clients/new"), ("name", "nightly \"reports\" & more"), ("owner", "data team"), ("allow", "decrypt")];
    let shown = browser.post("/resume", &again);
    assert_eq!((shown.status, shown.input("name").as_deref()), (200, Some("nightly \"reports\" & more")));
    assert!(shown.body.contains("value=\"decrypt\" checked") && !shown.body.contains("value=\"encrypt\" checked"));
    let clients = all.workspace.columnseal(&["client", "list"]).ok();
    assert!(!clients.contains("nightly"), "showing it again does nothing: {clients}");
}

#[test]
fn sessions_end_by_rest_and_by_signing_out() {
    let all = embedded_with(&["--session", "2s"]);
    let mut browser = all.dashboard.browser();
    let old = browser.clone();
    assert_eq!(browser.get("/").status, 200);
    eventually("the session ends when nothing is done", || (old.clone().get("/").status == 401).then_some(()));

    let all = embedded();
    let mut browser = all.dashboard.browser();
    let mut thief = browser.clone();
    let csrf = browser.get("/").input("csrf").unwrap();
    let left = browser.post("/logout", &[("csrf", &csrf)]);
    assert!(left.header("set-cookie").is_some_and(|cookie| cookie.contains("Max-Age=0")), "{}", left.head);
    assert_eq!(thief.get("/").status, 401, "a copied cookie is of no use either");
}

#[test]
fn bad_input_is_told_and_nothing_is_made() {
    let all = embedded();
    let mut browser = all.dashboard.browser();
    let before = all.workspace.columnseal(&["client", "list", "--json"]).ok();
    let long = "x".repeat(200);
    for (name, allow, expires, keyset) in [
        ("", "decrypt", "0", ""),
        (" ", "decrypt", "0", ""),
        (&*long, "decrypt", "0", ""),
        ("a\nb", "decrypt", "0", ""),
        ("web", "decrypt", "0", "default"),
        ("csck1_abc", "decrypt", "0", ""),
        ("b77b5cb5-0d3c-4b1a-9c2b-2f7c2f7c2f7c", "decrypt", "0", ""),
        ("new", "", "0", ""),
        ("new", "fly", "0", ""),
        ("new", "grant", "0", "default"),
        ("new", "decrypt", "3", ""),
        ("new", "decrypt", "-1", ""),
        ("new", "decrypt", "0", "no-such-keyset"),
    ] {
        let mut fields = vec![("name", name), ("kind", "application"), ("expires", expires), ("keyset", keyset)];
        fields.retain(|(field, value)| *field != "keyset" || !value.is_empty());
        if !allow.is_empty() {
            fields.push(("allow", allow));
        }
        let answer = browser.fill("/clients/new", &fields);
        assert!(matches!(answer.status, 422 | 403), "{fields:?}: {} {}", answer.status, answer.body);
    }
    let csrf = browser.get("/").input("csrf").unwrap();
    let answer = browser.post("/clients/approve", &[("csrf", &csrf), ("request", "<script>"), ("allow", "decrypt")]);
    assert_eq!(answer.status, 422);
    assert!(!answer.body.contains("<script>\"") && answer.body.contains("&lt;script&gt;"), "{}", answer.body);
    let script = browser.get("/clients?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E");
    assert!(!script.body.contains("<script>alert"), "escaped");
    let head = format!(
        "POST /clients/new HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ",
        browser.host()
    );
    assert_eq!(browser.raw(&format!("{head}70000"), &[b'x'; 70_000]).status, 413);
    assert_eq!(browser.raw(&format!("{head}3"), b"a=\xff").status, 400);
    let json = head.replace("x-www-form-urlencoded", "json");
    assert_eq!(browser.raw(&format!("{json}2"), b"{}").status, 415);
    assert_eq!(browser.get("/clients/no-such-client").status, 404);
    assert_eq!(browser.get("/keysets/%ff").status, 404);
    assert_eq!(browser.get("/jobs/x").status, 404);
    assert_eq!(all.workspace.columnseal(&["client", "list", "--json"]).ok(), before, "nothing was made");
}

#[test]
fn what_another_admin_changed_meanwhile_is_not_overwritten() {
    let all = embedded();
    let mut browser = all.dashboard.browser();
    let page = browser.get("/clients/web/edit");
    let (csrf, stamp) = (page.input("csrf").unwrap(), page.input("stamp").unwrap());
    all.workspace.columnseal(&["client", "update", "web", "--owner", "the other admin"]).ok();
    let fields =
        [("csrf", csrf.as_str()), ("stamp", &stamp), ("name", "web"), ("owner", "this admin"), ("expires", "stays")];
    let id = id_of(&all.workspace, "web");
    let answer = browser.post(&format!("/clients/{id}/edit"), &fields);
    assert_eq!(answer.status, 409, "{}", answer.body);
    assert!(answer.body.contains("was changed meanwhile"), "{}", answer.body);
    assert!(all.workspace.columnseal(&["client", "show", "web"]).ok().contains("the other admin"));
    let answer = browser.fill(&format!("/clients/{id}/edit"), &fields[2..]);
    assert_eq!(answer.status, 303, "what is seen now can be changed: {}", answer.body);
    assert!(all.workspace.columnseal(&["client", "show", "web"]).ok().contains("this admin"));
}

/// Everything between the dashboard and the key server is recorded, in plain HTTP: the key of a client that is made on the page is
/// in none of it, in no form, and neither is the admin's.
#[test]
fn no_key_ever_reaches_the_key_server() {
    let server = KeyServer::start_plain();
    let admin = Workspace::found(&server, None);
    let relay = Relay::start(server.port);
    let through = admin.through(&format!("http://127.0.0.1:{}", relay.port), &server.authority.certificate);
    let dashboard = Dashboard::start(&through);
    let mut browser = dashboard.browser();
    let keyset = browser.get("/clients/new").input("keyset").expect("a keyset to tick");
    let fields =
        [("name", "web"), ("kind", "application"), ("keyset", &keyset), ("allow", "decrypt"), ("expires", "0")];
    let made = browser.fill("/clients/new", &fields);
    let shown = browser.get(made.header("location").unwrap_or_else(|| panic!("{}", made.body)));
    let at = shown.body.find("csck1_").expect("the key is shown");
    let key = shown.body[at..].split(['<', '"', '\n']).next().unwrap().to_owned();
    let again = browser.get(made.header("location").unwrap());
    assert!(again.status == 404 && !again.body.contains("csck1_"), "once");
    let id = id_of(&admin, "web");
    assert_eq!(browser.fill(&format!("/clients/{id}/revoke"), &[]).status, 303);
    let rotated = browser.fill("/keysets/default/rotate", &[]);
    let job = rotated.header("location").unwrap_or_else(|| panic!("{}", rotated.body)).to_owned();
    eventually("the keyset is rotated", || browser.get(&job).body.contains("uses epoch 2").then_some(()));
    let own = std::fs::read_to_string(admin.home().join("device/client.key")).unwrap();
    let traffic = [relay.sent(), relay.received()].concat();
    let records = [server.log(), dashboard.log()].concat().into_bytes();
    assert!(traffic.len() > 10_000, "the traffic is there");
    for (whose, secret) in [("the client's", key.as_str()), ("the admin's", own.trim())] {
        let bytes = URL_SAFE_NO_PAD.decode(secret.strip_prefix("csck1_").expect("a key")).expect("base64url");
        let seed = &bytes[..32];
        let forms = [
            secret.as_bytes().to_vec(),
            secret.as_bytes()["csck1_".len()..][..40].to_vec(),
            seed.to_vec(),
            hex::encode(seed).into_bytes(),
            URL_SAFE_NO_PAD.encode(seed).into_bytes(),
            STANDARD.encode(seed).into_bytes(),
        ];
        for (at, form) in forms.iter().enumerate() {
            let found = |hay: &[u8]| hay.windows(form.len()).any(|window| window == form);
            assert!(!found(&traffic) && !found(&records), "{whose} key, form {at}");
        }
    }
}

#[test]
fn a_key_server_that_is_away_is_told_and_comes_back() {
    let mut server = KeyServer::start_plain();
    let admin = Workspace::found(&server, None);
    let dashboard = Dashboard::start(&admin);
    let mut browser = dashboard.browser();
    let page = browser.get("/keysets/new");
    let csrf = page.input("csrf").unwrap();
    server.kill();
    let away = browser.get("/clients");
    assert!(away.status == 503 && away.body.contains("does not answer"), "{} {}", away.status, away.body);
    assert!(away.body.contains("href=\"/clients\""), "there is a way to try again: {}", away.body);
    let lost = browser.post("/keysets/new", &[("csrf", &csrf), ("name", "tenant")]);
    assert_eq!(lost.status, 503, "{}", lost.body);
    server.restart();
    server.wait_ready();
    eventually("the pages are back", || (browser.get("/clients").status == 200).then_some(()));
    assert_eq!(browser.post("/keysets/new", &[("csrf", &csrf), ("name", "tenant")]).status, 303);
    assert!(admin.columnseal(&["keyset", "list"]).ok().contains("tenant"));
}

/// A client's id.
pub fn id_of(workspace: &Workspace, name: &str) -> String {
    let shown = workspace.columnseal(&["client", "show", name, "--json"]).ok();
    let at = shown.find("\"id\": \"").expect("it has an id") + 7;
    shown[at..at + 36].to_owned()
}
