//! The page of the key server: it shows, disables and revokes, and nothing else, whatever is sent.

use crate::support::{KeyServer, Workspace, eventually};

use super::browser::ticket;
use super::guards::id_of;
use super::{Answer, Browser};

struct Far {
    server: KeyServer,
    admin: Workspace,
}

fn far(env: &[(&str, &str)]) -> Far {
    let server = KeyServer::start_plain_with(env);
    let admin = Workspace::found(&server, None);
    admin.client_create("web", &["default"]);
    Far { server, admin }
}

impl Far {
    /// `columnseal login`.
    fn address(&self) -> String {
        self.admin.columnseal(&["login", "--no-open"]).ok().trim().to_owned()
    }

    fn browser(&self) -> Browser {
        Browser::signed_in(self.server.port, &self.address())
    }

    fn show(&self, what: &[&str]) -> String {
        self.admin.columnseal(what).ok()
    }
}

#[test]
fn it_takes_away_and_gives_nothing() {
    let far = far(&[]);
    far.show(&["keyset", "create", "tenant"]);
    let mut browser = far.browser();
    let id = id_of(&far.admin, "web");
    for path in
        ["/", "/clients", &format!("/clients/{id}"), "/keysets", "/keysets/default", "/devices", "/types", "/audit"]
    {
        let answer = browser.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(!answer.body.contains("csck1_"), "{path}");
    }
    // Every act that needs a key says how it is done elsewhere, and does nothing, however it is asked.
    let csrf = browser.get("/").input("csrf").unwrap();
    let gifts = [
        ("/clients/new".to_owned(), "columnseal client create"),
        ("/clients/approve".to_owned(), "columnseal client approve"),
        (format!("/clients/{id}/grant"), "columnseal client grant"),
        (format!("/clients/{id}/edit"), "columnseal client update"),
        (format!("/clients/{id}/rotate"), "columnseal client rotate"),
        (format!("/clients/{id}/enable"), "columnseal client enable"),
        (format!("/clients/{id}/delete"), "columnseal client delete"),
        ("/keysets/new".to_owned(), "columnseal keyset create"),
        ("/keysets/tenant/rename".to_owned(), "columnseal keyset rename"),
        ("/keysets/tenant/rotate".to_owned(), "columnseal keyset rotate"),
        ("/keysets/tenant/grant".to_owned(), "columnseal client grant"),
        ("/devices/x/approve".to_owned(), "columnseal device approve"),
        ("/devices/x/refuse".to_owned(), "columnseal device refuse"),
    ];
    let state = |far: &Far| {
        (far.show(&["client", "list", "--json"]).replace(char::is_numeric, ""), far.show(&["keyset", "list", "--json"]))
    };
    let before = state(&far);
    for (path, command) in &gifts {
        let shown = browser.get(path);
        assert!(shown.body.contains(command), "{path}: {}", shown.body);
        let fields = [
            ("csrf", csrf.as_str()),
            ("name", "new"),
            ("keyset", "tenant"),
            ("client", &id),
            ("allow", "decrypt"),
            ("sure", "yes"),
            ("overlap", "0"),
            ("request", "csrq1_x"),
            ("code", "4K7M-X2QP"),
            ("expires", "0"),
        ];
        let answer = browser.post(path, &fields);
        assert!(answer.status == 200 && answer.body.contains(command), "{path}: {} {}", answer.status, answer.body);
    }
    assert_eq!(state(&far), before, "nothing was given");
    // What it takes away is taken away.
    let answer = browser.fill(&format!("/clients/{id}/revoke?keyset=default"), &[("keyset", "default")]);
    assert_eq!(answer.status, 303, "{}", answer.body);
    assert!(!far.show(&["client", "show", "web"]).contains("grant    default"));
    assert_eq!(browser.fill(&format!("/clients/{id}/disable"), &[]).status, 303);
    assert!(far.show(&["client", "show", "web"]).contains("disabled"));
    assert_eq!(browser.fill("/keysets/tenant/disable", &[]).status, 303);
    assert!(far.show(&["keyset", "show", "tenant"]).contains("disabled"));
    let trail = far.show(&["audit", "tail", "-n", "20"]);
    for act in ["session.open", "grant.revoke", "client.disable", "keyset.disable"] {
        assert!(trail.contains(act), "{act}: {trail}");
    }
    far.show(&["audit", "verify"]);
}

#[test]
fn an_address_works_once_and_only_for_admins() {
    let far = far(&[]);
    let url = far.address();
    assert!(url.starts_with(&format!("http://127.0.0.1:{}/login?ticket=", far.server.port)), "{url}");
    let sign = |ticket: &str| Browser::new(far.server.port).post("/login", &[("ticket", ticket)]);
    let altered = |at: usize| {
        let mut text = ticket(&url).to_owned();
        let other = if &text[at..=at] == "A" { "B" } else { "A" };
        text.replace_range(at..=at, other);
        text
    };
    for wrong in [String::new(), "x".to_owned(), altered(0), altered(30), altered(100)] {
        assert_eq!(sign(&wrong).status, 403, "{wrong}");
    }
    assert_eq!(sign(ticket(&url)).status, 303);
    let again: Answer = sign(ticket(&url));
    assert!(again.status == 403 && again.body.contains("used before"), "{}", again.body);
    // A device without a key gets none.
    let dev = Workspace::far(&far.server.url(), &far.server.authority.certificate);
    let refused = dev.columnseal(&["login", "--no-open"]).failed();
    assert!(refused.contains("device key"), "{refused}");
}

#[test]
fn a_session_outlives_a_restart_but_not_its_admin() {
    let mut far = far(&[]);
    let mut browser = far.browser();
    assert_eq!(browser.get("/clients").status, 200);
    far.server.restart();
    far.server.wait_ready();
    assert_eq!(browser.get("/clients").status, 200, "the server started anew");
    // Another admin takes this one out of the admins: the next click is refused.
    let kit = far.admin.home().join("recovery-kit.txt");
    let kit = kit.to_str().unwrap();
    let second = Workspace::far(&far.server.url(), &far.server.authority.certificate);
    let made = far.admin.client_create("second", &[]);
    std::fs::create_dir_all(second.home().join("device")).unwrap();
    let key = second.home().join("device/client.key");
    std::fs::write(&key, format!("{}\n", made.key)).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let refused = second.columnseal(&["login", "--no-open"]).failed();
    assert!(refused.contains("admin"), "a client that is no admin: {refused}");
    far.show(&["admin", "add", "second", "--recovery-file", kit]);
    far.show(&["client", "grant", "second", "default", "--allow", "grant"]);
    let first = other_admin(&far.admin, &made.id);
    second.columnseal(&["admin", "remove", &first, "--recovery-file", kit]).ok();
    let answer = browser.get("/clients");
    assert!(answer.status == 403 && !answer.body.contains("web"), "{} {}", answer.status, answer.body);
}

/// The id of the admin that is not this one.
fn other_admin(workspace: &Workspace, one: &str) -> String {
    let list = workspace.columnseal(&["admin", "list", "--json"]).ok();
    let ids = list.match_indices("\"id\": \"").map(|(at, found)| &list[at + found.len()..][..36]);
    ids.filter(|id| *id != one).last().unwrap_or_else(|| panic!("{list}")).to_owned()
}

#[test]
fn rest_ends_a_session_and_the_page_can_be_switched_off() {
    let short = far(&[("CS_KEYSERVER__SESSION", "2s")]);
    let old = short.browser();
    eventually("the session ends when nothing is done", || (old.clone().get("/").status == 401).then_some(()));
    let typed = old.clone().post("/keysets/tenant/rename", &[("csrf", "x"), ("name", "typed before")]);
    assert!(typed.status == 401 && typed.body.contains("typed before"), "{}", typed.body);

    let off = far(&[("CS_KEYSERVER__DASHBOARD", "false")]);
    let answer = Browser::new(off.server.port).get("/");
    assert!(answer.status == 404 && answer.body.contains("not_found"), "{}", answer.body);
}

#[test]
fn on_loopback_other_names_are_turned_away() {
    let far = far(&[]);
    let mut browser = far.browser();
    let answer = browser.raw("GET / HTTP/1.1\r\nHost: evil.example", b"");
    assert_eq!(answer.status, 403);
    let page = browser.get("/clients/web/revoke");
    let fields = [("csrf", page.input("csrf").unwrap()), ("stamp", page.input("stamp").unwrap())];
    let fields = fields.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>();
    let answer = browser.post_from("/clients/web/revoke", &fields, "Origin: https://evil.example");
    assert_eq!(answer.status, 403);
    assert!(far.show(&["client", "show", "web"]).contains("grant    default"));
}
