//! Client keys as their users meet them: records, lists, keys made elsewhere, rotation, devices let in by a code, admins and
//! the recovery kit. Through the binary, without a database.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::Workspace;
use crate::support::process::{Output, run};

#[track_caller]
fn json(out: &Output) -> Value {
    serde_json::from_str(&out.out).unwrap_or_else(|e| panic!("{e}: {} {}", out.out, out.err))
}

/// A workspace without a database.
fn workspace() -> Workspace {
    let workspace = Workspace::empty();
    workspace.columnseal(&["init", "--yes"]).ok();
    workspace
}

#[track_caller]
fn ask(workspace: &Workspace, args: &[&str]) -> Value {
    let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
    let out = workspace.columnseal(&args);
    assert_eq!(out.code, 0, "{args:?}: {} {}", out.out, out.err);
    json(&out)
}

#[track_caller]
fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[test]
fn records_say_who_and_until_when() {
    let workspace = workspace();
    let made =
        ask(&workspace, &["client", "create", "web", "--owner", "shop", "--expires", "90d", "--keyset", "default"]);
    assert_eq!(made["client"]["owner"], "shop");
    assert!(made["client"]["expires"].is_string() && made["client"]["seen"].is_null());
    ask(&workspace, &["client", "create", "pad", "--kind", "device", "--keyset", "default"]);
    let info = ask(&workspace, &["client", "update", "web", "--owner", "ops", "--name", "api", "--expires", "never"]);
    assert_eq!(
        (info["name"].as_str(), info["owner"].as_str(), info["expires"].is_null()),
        (Some("api"), Some("ops"), true)
    );
    assert!(ask(&workspace, &["client", "expire", "api", "30d"])["expires"].is_string());
    let shown = workspace.columnseal(&["client", "show", "api"]).ok();
    for line in ["owner    ops", "seen     not yet", "kind     application", "status   active"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    for (args, code) in [
        (&["client", "update", "api", "--owner", "a\nb"][..], 1),
        (&["client", "expire", "api", "soon"], 2),
        (&["client", "expire", "laptop-that-is-not", "never"], 5),
        (&["client", "list", "--status", "gone"], 2),
        (&["client", "list", "--keyset", "gone"], 5),
    ] {
        assert_eq!(workspace.columnseal(args).code, code, "{args:?}");
    }
    let list = |args: &[&str]| ask(&workspace, &[&["client", "list"], args].concat());
    assert_eq!(names(&list(&["--kind", "application"])), ["api"]);
    assert_eq!(names(&list(&["--kind", "device", "--keyset", "default"])).len(), 2);
    assert_eq!(names(&list(&["--owner", "ops", "--expiring", "31d"])), ["api"]);
    assert!(names(&list(&["--unused", "90d"])).is_empty());
    assert_eq!(names(&list(&["--sort", "expires"]))[0], "api");
    assert_eq!(names(&list(&["--sort", "created"]))[1..], ["api", "pad"]);
    let table = workspace.columnseal(&["client", "list", "--sort", "seen"]).ok();
    assert!(table.lines().next().unwrap().contains("SEEN"), "{table}");
    assert!(list(&[]).as_array().unwrap().iter().any(|client| client["seen"]["time"].is_string()), "this device asks");
}

#[test]
fn several_keysets_are_made_and_granted_by_one_command() {
    let workspace = workspace();
    workspace.columnseal(&["keyset", "create", "north", "south", "north"]).failed();
    workspace.columnseal(&["keyset", "create", "north", "default"]).failed();
    assert_eq!(
        ask(&workspace, &["keyset", "list"]).as_array().unwrap().len(),
        1,
        "nothing is made where a name is bad"
    );
    assert_eq!(ask(&workspace, &["keyset", "create", "north", "south"]), serde_json::json!(["north", "south"]));
    let client = workspace.client_create("web", &[]);
    workspace.columnseal(&["client", "grant", &client.id, "north", "east"]).failed();
    let granted = ask(&workspace, &["client", "grant", "web", "south", "north"]);
    let named: Vec<_> =
        granted.as_array().unwrap().iter().map(|grant| grant["keyset_name"].as_str().unwrap()).collect();
    assert_eq!(named, ["south", "north"]);
    assert_eq!(ask(&workspace, &["client", "show", "web"])["grants"].as_array().unwrap().len(), 2);
}

#[test]
fn device_keys_stay_in_development() {
    let workspace = workspace();
    assert_eq!(ask(&workspace, &["keyset", "show", "default"])["development"], true);
    assert_eq!(ask(&workspace, &["keyset", "create", "live"])["development"], false);
    assert_eq!(ask(&workspace, &["keyset", "create", "test", "--development"])["development"], true);
    let refused = workspace.columnseal(&["client", "create", "pad", "--kind", "device", "--keyset", "live"]);
    assert_eq!(refused.code, 5);
    assert!(refused.err.contains("docs/errors.md#policy"), "{}", refused.err);
    ask(&workspace, &["client", "create", "pad", "--kind", "device", "--keyset", "test"]);
    // The production side of the switch.
    let production = |args: &[&str]| run(workspace.command(args).env("CS_KEYSERVER__DEVICES", "refuse"), "");
    assert_eq!(production(&["client", "create", "pod", "--kind", "device"]).code, 5);
    assert_eq!(production(&["client", "list"]).code, 0, "the admin's device goes on");
    assert_eq!(run(workspace.command(&["client", "list"]).env("CS_KEYSERVER__DEVICES", "maybe"), "").code, 3);
    let fresh = Workspace::empty();
    run(fresh.command(&["init", "--yes"]).env("CS_KEYSERVER__DEVICES", "refuse"), "").ok();
    assert_eq!(ask(&fresh, &["keyset", "show", "default"])["development"], false);
}

#[test]
fn a_key_is_made_where_it_is_used() {
    let (admin, target) = (workspace(), Workspace::empty());
    let unknown = target.columnseal(&["client", "request", "--name", "ci"]);
    assert!(unknown.code == 1 && unknown.err.contains("--root"), "{}", unknown.err);
    let root = ask(&admin, &["admin", "list"])["root"].as_str().unwrap().to_owned();
    let out = target.columnseal(&["client", "request", "--name", "ci", "--root", &root]);
    let request = out.out.trim().to_owned();
    assert!(request.starts_with("csrq1_") && !out.out.contains("csck1_") && !out.err.contains("csck1_"));
    let file = std::fs::read_dir(target.dir()).unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|path| path.extension().is_some_and(|end| end == "env")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let id = std::fs::read_to_string(&file).unwrap().lines().next().unwrap().replace("CS_CLIENT_ID=", "");
    // Of another workspace, cut, or mistyped: refused before anything happens.
    let elsewhere = Workspace::empty();
    elsewhere.columnseal(&["init", "--yes"]).ok();
    assert_eq!(elsewhere.columnseal(&["client", "approve", &request, "--keyset", "default"]).code, 4);
    for bad in [&request[..40], "cspk1_AAAA", &request.replace("csrq1_", "csck1_")] {
        assert_eq!(admin.columnseal(&["client", "approve", bad]).code, 1, "{bad}");
    }
    let let_in = ask(&admin, &["client", "approve", &request, "--keyset", "default", "--owner", "build"]);
    assert_eq!((let_in["id"].as_str(), let_in["name"].as_str()), (Some(id.as_str()), Some("ci")));
    assert_eq!(admin.columnseal(&["client", "approve", &request, "--name", "again"]).code, 1);
    // The other forms.
    let value = ask(&target, &["client", "request", "--root", &root, "--output", "json"]);
    assert!(value["CS_CLIENT_KEY"].is_string() && value["request"].is_string());
    let nameless = value["request"].as_str().unwrap();
    assert_eq!(admin.columnseal(&["client", "approve", nameless]).code, 1, "a name is needed");
    ask(&admin, &["client", "approve", nameless, "--name", "named"]);
}

#[test]
fn keys_are_rotated_with_an_overlap() {
    let workspace = workspace();
    let old = workspace.client_create("web", &["default"]);
    let value = ask(&workspace, &["client", "rotate", "web", "--overlap", "7d"]);
    assert_ne!(value["CS_CLIENT_ID"], old.id.as_str());
    assert_eq!(value["client"]["old"]["id"], old.id.as_str());
    assert_eq!(
        (value["client"]["new"]["name"].as_str(), value["client"]["old"]["status"].as_str()),
        (Some("web"), Some("active"))
    );
    let check = |id: &str, key: &str| {
        let mut command = workspace.command(&["proxy", "--check", "--json"]);
        command.env("CS_CLIENT_ID", id).env("CS_CLIENT_KEY", key).env("CS_DATABASE__URL", "postgres://x@127.0.0.1:1/x");
        run(&mut command, "")
    };
    let (id, key) = (value["CS_CLIENT_ID"].as_str().unwrap(), value["CS_CLIENT_KEY"].as_str().unwrap());
    for (id, key) in [(old.id.as_str(), old.key.as_str()), (id, key)] {
        assert_eq!(check(id, key).code, 6, "the keys are good, the database is not there");
    }
    let ended = ask(&workspace, &["client", "rotate", "web", "--overlap", "0"]);
    assert_eq!(ended["client"]["old"]["status"], "expired");
    assert_eq!(check(id, key).code, 5);
    let target = Workspace::empty();
    let root = ask(&workspace, &["admin", "list"])["root"].as_str().unwrap().to_owned();
    let request = target.columnseal(&["client", "request", "--root", &root]).ok();
    let moved = ask(&workspace, &["client", "rotate", "web", "--to", request.trim()]);
    assert_eq!(moved["new"]["grants"].as_array().unwrap().len(), 1);
    assert!(moved.get("CS_CLIENT_KEY").is_none());
}

#[test]
fn a_compromised_client_is_cut_off_and_what_is_left_is_said() {
    let workspace = workspace();
    ask(&workspace, &["keyset", "create", "tenant"]);
    workspace.client_create("web", &["default", "tenant"]);
    let value = ask(&workspace, &["client", "revoke", "web", "--compromised"]);
    assert_eq!(value["client"]["status"], "disabled");
    assert_eq!(value["keysets"], serde_json::json!(["default", "tenant"]));
    assert_eq!(value["next"].as_array().unwrap().len(), 2);
    assert_eq!(value["revoked"].as_array().unwrap().len(), 2);
    workspace.client_create("api", &["tenant"]);
    let out = workspace.columnseal(&["client", "revoke", "api", "--compromised"]);
    assert!(
        out.code == 0 && out.err.contains("rotate") && out.out.contains("keyset   tenant"),
        "{} {}",
        out.out,
        out.err
    );
    assert_eq!(workspace.columnseal(&["client", "revoke", "api", "tenant", "--compromised"]).code, 2);
}

/// A second home on the first one's store.
struct Developer<'a> {
    admin: &'a Workspace,
    own: Workspace,
}

impl<'a> Developer<'a> {
    fn of(admin: &'a Workspace) -> Self {
        Self { admin, own: Workspace::empty() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.own.command(args);
        command.env("CS_KEYS__STORE", self.admin.store());
        command
    }

    /// `init` on a device that has no key of the workspace; it waits.
    fn init(&self, owner: &str) -> Child {
        let mut command = self.command(&["init", "--yes", "--owner", owner, "--json"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// Ends a child whose test did not come to its end.
struct Waiting(Child);

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Waiting {
    /// Reads what is said for people until a line begins with `start`; the rest of that line.
    fn line(&mut self, start: &str) -> String {
        let stderr = BufReader::new(self.0.stderr.as_mut().unwrap());
        for line in stderr.lines() {
            if let Some(rest) = line.unwrap().strip_prefix(start) {
                return rest.to_owned();
            }
        }
        panic!("it ended without a line {start}");
    }

    fn end(mut self) -> (i32, Value) {
        let status = self.0.wait().unwrap();
        let out = std::io::read_to_string(self.0.stdout.as_mut().unwrap()).unwrap();
        (status.code().unwrap(), serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}")))
    }
}

#[test]
fn a_developer_is_let_in_by_the_code_on_the_screen() {
    let admin = workspace();
    let developer = Developer::of(&admin);
    let mut waiting = Waiting(developer.init("ann"));
    waiting.line("This workspace has an admin already");
    let listed = ask(&admin, &["device", "list"]);
    assert_eq!(listed[0]["owner"], "ann");
    let code = waiting.line("code  ");
    let wrong = admin.columnseal(&["device", "approve", "0000-0000"]);
    assert!(wrong.code == 5 && wrong.err.contains("#enrolment"), "{}", wrong.err);
    assert_eq!(admin.columnseal(&["device", "approve", "no code"]).code, 2);
    let client =
        json(&run(&mut admin.command(&["device", "approve", "--name", "ann", "--json"]), &format!("{code}\n")));
    assert_eq!((client["name"].as_str(), client["kind"].as_str()), (Some("ann"), Some("device")));
    let (exit, report) = waiting.end();
    assert_eq!((exit, report["workspace"]["device"].clone()), (0, client["id"].clone()));
    assert_eq!(report["workspace"]["keysets"], serde_json::json!(["default"]));
    assert_eq!(run(&mut developer.command(&["client", "list"]), "").code, 5, "it is no admin");
    assert_eq!(ask(&admin, &["device", "list"]).as_array().unwrap().len(), 0);
    // Once more changes nothing.
    run(&mut developer.command(&["init", "--yes"]), "").ok();
}

#[test]
fn a_developer_is_turned_away() {
    let admin = workspace();
    let developer = Developer::of(&admin);
    let mut waiting = Waiting(developer.init("bob"));
    waiting.line("This workspace has an admin already");
    let id = ask(&admin, &["device", "list"])[0]["id"].as_str().unwrap().to_owned();
    ask(&admin, &["device", "refuse", &id]);
    let (exit, report) = waiting.end();
    assert_eq!(exit, 5);
    assert!(report["error"]["why"].as_str().unwrap().contains("turned the device away"), "{report}");
    assert_eq!(admin.columnseal(&["device", "refuse", &id]).code, 5);
    let none = run(&mut admin.command(&["device", "approve"]), "");
    assert!(none.code == 5 && none.err.contains("no device waits"), "{}", none.err);
}

#[test]
fn drill_the_kit_brings_a_lost_workspace_back() {
    let admin = workspace();
    let kit = admin.home().join("recovery-kit.txt");
    let kit = kit.to_str().unwrap();
    admin.client_create("web", &["default"]);
    // The device is lost; store and kit are not.
    std::fs::rename(admin.home().join("device"), admin.dir().join("lost")).unwrap();
    assert_eq!(admin.columnseal(&["client", "list"]).code, 4);
    assert_eq!(admin.columnseal(&["recover", "--recovery-file", kit]).code, 1, "it asks first");
    assert_eq!(admin.columnseal(&["recover", "--recovery-file", "nowhere", "--yes"]).code, 4);
    let report = ask(&admin, &["recover", "--recovery-file", kit, "--yes"]);
    assert_eq!(report["orphans"], serde_json::json!(["default"]));
    assert_eq!(report["dismissed"].as_array().unwrap().len(), 1);
    let admins = ask(&admin, &["admin", "list"]);
    assert_eq!((admins["admins"].as_array().unwrap().len(), admins["version"].as_u64()), (1, Some(3)));
    assert_eq!(admin.columnseal(&["client", "grant", "web", "default"]).code, 5);
    // A second admin, and back to one.
    ask(&admin, &["keyset", "create", "next"]);
    ask(&admin, &["client", "create", "bob", "--kind", "device"]);
    assert_eq!(admin.columnseal(&["admin", "add", "bob"]).code, 2, "the kit is needed");
    let added = ask(&admin, &["admin", "add", "bob", "--recovery-file", kit]);
    assert_eq!(added["admins"].as_array().unwrap().len(), 2);
    ask(&admin, &["client", "grant", "bob", "next", "--allow", "grant"]);
    let removed = ask(&admin, &["admin", "remove", "bob", "--recovery-file", kit]);
    assert_eq!((removed["version"].as_u64(), removed["admins"].as_array().unwrap().len()), (Some(5), 1));
    for output in [admin.columnseal(&["admin", "list"]), admin.columnseal(&["client", "list"])] {
        assert!(!output.out.contains("csroot1_") && !output.err.contains("csroot1_"));
    }
}
