//! Every flow in a browser: `tests/dashboard/flows.py`, with a key server, a proxy and a device behind it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::process::run;
use crate::support::workspace::BINARY;
use crate::support::{Cluster, KeyServer, Options, Proxy, ProxyOptions, Workspace};

use super::Dashboard;

/// Where `tests/drivers/install.sh` puts things.
fn installed(path: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("tmp lies in the target directory");
    let found = target.join("drivers").join(path);
    assert!(found.exists(), "{} is missing: run tests/drivers/install.sh", found.display());
    found
}

fn chromium() -> &'static str {
    let known = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    known.into_iter().find(|path| Path::new(path).exists()).expect("a browser: run scripts/install.sh test")
}

#[test]
fn every_flow_works_in_a_browser() {
    let cluster = Cluster::start(Options::default());
    let database = cluster.database("shop");
    let server = KeyServer::start();
    let admin = Workspace::found(&server, Some(&database));
    let web = admin.client_create("web", &["default"]);
    admin
        .columnseal(&["client", "create", "reports", "--keyset", "default", "--expires", "9d", "--output", "json"])
        .ok();
    admin
        .columnseal(&["client", "create", "batch", "--allow", "encrypt", "--keyset", "default", "--output", "json"])
        .ok();
    let far = Workspace::far(&server.url(), &server.authority.certificate);
    let proxy = Proxy::start_with(&far, &web, &database, &ProxyOptions::default());
    proxy.database(&cluster).sql(
        "CREATE TABLE users (id int PRIMARY KEY, email seal.text_eq, born seal.date_ord, note seal.text);
         CREATE TABLE orders (id int PRIMARY KEY, name seal.text_search, paid seal.bool_eq);
         INSERT INTO users VALUES (1, 'ann@example.com', '1990-02-03', 'x');
         SELECT * FROM users WHERE email = 'ann@example.com'",
    );
    let dashboard = Dashboard::start(&admin);
    let device = Workspace::empty();
    let shots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dashboard");
    let mut command = Command::new("timeout");
    command.arg("400").arg(installed("venv/bin/python")).arg("-B");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dashboard/flows.py"));
    let own = admin.command(&[]);
    command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(admin.dir());
    command.env("BINARY", BINARY).env("SERVER", server.url()).env("SHOTS", &shots).env("CHROMIUM", chromium());
    let store = server.dir().join("cs/store/keystore.db");
    command.env("STORE", store).env("PROXY", proxy.database(&cluster).url);
    command.env("DASHBOARD", dashboard.addresses().pop().unwrap()).env("DEVICE_HOME", device.home());
    command.env("AXE", installed("node/node_modules/axe-core/axe.min.js"));
    let output = run(&mut command, "");
    let report =
        || format!("{}\n{}\ndashboard:\n{}\nserver:\n{}", output.out, output.err, dashboard.log(), server.log());
    assert!(output.code == 0 && output.out.ends_with("done\n"), "{}", report());
    assert!(!dashboard.log().contains("csck1_") && !server.log().contains("csck1_"), "no key in a log");
}
