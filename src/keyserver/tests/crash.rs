//! Servers that die in the middle of a change.

use std::process::{Command, Stdio};

use crate::keyserver::tests::support::eventually;

use super::*;

/// Run by the test below in a process of its own: makes clients until it is killed.
#[test]
fn child_process_makes_clients() {
    let Some(home) = std::env::var_os("COLUMNSEAL_TEST_CHILD").map(PathBuf::from) else { return };
    let store = std::env::var("COLUMNSEAL_TEST_STORE").expect("set with the other");
    let run = std::env::var("COLUMNSEAL_TEST_RUN").expect("set with the other");
    let store = store.parse::<StoreSpec>().expect("a store");
    let workspace =
        Workspace::open_with(&home, &store, &Source::File(home.join("store").join("root.key"))).expect("open");
    for number in 0.. {
        let keysets = vec!["default".to_owned()];
        let new = NewClient { keysets, ..NewClient::named(&format!("{run}-{number}"), ClientKind::Application) };
        workspace.create_client(&new).expect("create");
    }
}

#[test]
fn a_server_killed_in_the_middle_of_changes_leaves_nothing_half() {
    let home = Home::new();
    let name = module_path!().split_once("::").expect("a module of the crate").1;
    for run in 0..4 {
        let mut child = Command::new(std::env::current_exe().expect("this binary"));
        child
            .args(["--exact", &format!("{name}::child_process_makes_clients")])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        child.env("COLUMNSEAL_TEST_CHILD", home.path()).env("COLUMNSEAL_TEST_STORE", home.spec_text());
        let mut child = child.env("COLUMNSEAL_TEST_RUN", run.to_string()).spawn().expect("run");
        let prefix = format!("{run}-");
        eventually("the child makes clients", || {
            let clients = home.open().clients().expect("clients");
            (clients.iter().filter(|client| client.name.starts_with(&prefix)).count() > run + 2).then_some(())
        });
        child.kill().expect("kill");
        child.wait().expect("wait");
        let workspace = home.open();
        workspace.audit_verify().expect("whole");
        for client in workspace.clients().expect("clients").iter().filter(|client| !client.admin) {
            assert_eq!(client.grants.len(), 1, "{} has its grant", client.name);
        }
        workspace.create_keyset(&format!("k{run}")).expect("others go on");
    }
}
