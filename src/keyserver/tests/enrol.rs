//! Devices that are let in by their code, over a real store; and what is refused.

use crate::crypto::enrol::Code;
use crate::keys::enrol::{
    AnswerEnrol, ApproveEnrol, BeginEnrol, EnrolState, EnrolStatus, LIFETIME_MS, ListEnrol, RefuseEnrol, RevealEnrol,
};
use crate::keys::request::{Body, Request};
use crate::keys::settings::Service;

use crate::keyserver::workspace::{Approval, EnrolReport, Enrolling, InitOptions, Progress};
use tempfile::TempDir;

use super::*;

/// A second home on the store of the first.
struct Second<'a> {
    folder: TempDir,
    home: &'a Home,
}

impl<'a> Second<'a> {
    fn of(home: &'a Home) -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), home }
    }

    fn options(&self, name: &str) -> InitOptions {
        let (home, store, root_key) = (self.folder.path().join("home"), self.home.spec(), self.home.root_key());
        let recovery_file = home.join("recovery-kit.txt");
        InitOptions { home, store, recovery_file, device_name: name.into(), root_key, devices: true }
    }

    fn begin(&self, name: &str) -> Enrolling {
        Enrolling::begin(&self.options(name), &Service::Embedded, "ann").expect("begin")
    }

    fn open(&self) -> Workspace {
        Workspace::open_with(&self.options("x").home, &self.home.spec(), &self.home.root_key()).expect("open")
    }
}

fn code(waiting: &mut Enrolling) -> Code {
    match waiting.poll().expect("poll") {
        Progress::Code(code) => code.parse().expect("a code"),
        other => panic!("{other:?}"),
    }
}

fn approved(waiting: &mut Enrolling) -> EnrolReport {
    match waiting.poll().expect("poll") {
        Progress::Approved(report) => report,
        other => panic!("{other:?}"),
    }
}

const WRONG: &str = "0000-0000";

fn needed(options: &InitOptions) -> bool {
    Enrolling::is_needed(options, &Service::Embedded).expect("the store can be asked")
}

#[test]
fn a_second_device_is_let_in_by_its_code() {
    let home = Home::new();
    let second = Second::of(&home);
    assert!(needed(&second.options("pad")));
    assert!(!needed(&home.options()));
    let mut waiting = second.begin("pad");
    assert_eq!(waiting.poll().expect("poll"), Progress::Waiting);
    let admin = home.open();
    let listed = admin.devices().expect("list");
    assert_eq!(
        (listed[0].device.as_str(), listed[0].owner.as_deref(), listed[0].status),
        ("pad", Some("ann"), "answered")
    );
    let shown = code(&mut waiting);
    assert_eq!(code(&mut waiting), shown, "it stays");
    assert_eq!(admin.devices().expect("list")[0].status, "code");
    let client = home.open().approve_device(&shown, &Approval::default()).expect("approve");
    assert_eq!((client.name.as_str(), client.kind, client.admin), ("ann@pad", "device", false));
    assert_eq!((client.owner.as_deref(), client.device.as_deref()), (Some("ann"), Some("pad")));
    let report = approved(&mut waiting);
    assert_eq!((report.device, report.keysets), (client.id.clone(), vec!["default".to_owned()]));
    assert_eq!(admin.devices().expect("list"), []);
    // Its key works, and is no admin's.
    assert_eq!(second.open().clients().err(), Some(KeysError::NotAdmin { client: "ann@pad".into() }));
    let secret = Secret(std::fs::read_to_string(report.device_file).expect("key").trim().to_owned());
    assert_eq!(secret.id(), client.id);
    assert!(!needed(&second.options("pad")));
    assert!(matches!(Enrolling::begin(&second.options("pad"), &Service::Embedded, ""), Err(KeysError::Exists { .. })));
}

#[test]
fn two_devices_at_once_and_the_code_tells_which() {
    let home = Home::new();
    let (one, two) = (Second::of(&home), Second::of(&home));
    let (mut first, mut second) = (one.begin("pad"), two.begin("pad"));
    let admin = home.open();
    admin.devices().expect("list");
    let (_, shown) = (code(&mut first), code(&mut second));
    let client = admin.approve_device(&shown, &Approval { name: Some("mine".into()), ..Approval::default() });
    let client = client.expect("approve");
    assert!(matches!(first.poll().expect("poll"), Progress::Code(_)));
    assert_eq!(approved(&mut second).device, client.id);
    // The other one is let in under the same name only if that is free.
    let shown = code(&mut first);
    let taken = admin.approve_device(&shown, &Approval { name: Some("mine".into()), ..Approval::default() });
    assert!(matches!(taken, Err(KeysError::Exists { .. })));
    admin.approve_device(&shown, &Approval::default()).expect("approve");
    approved(&mut first);
}

#[test]
fn wrong_codes_end_a_run() {
    let home = Home::new();
    let second = Second::of(&home);
    let mut waiting = second.begin("pad");
    let admin = home.open();
    admin.devices().expect("list");
    let shown = code(&mut waiting);
    let wrong: Code = WRONG.parse().expect("a code");
    for left in ["2 more", "1 more", "too many"] {
        let refused = home.open().approve_device(&wrong, &Approval::default()).expect_err("refused").to_string();
        assert!(refused.contains(left), "{refused}");
    }
    assert!(matches!(admin.approve_device(&shown, &Approval::default()), Err(KeysError::Invalid { .. })));
    assert_eq!(waiting.poll().expect("poll"), Progress::Refused("the code did not fit".into()));
    assert!(!second.options("pad").home.join("device/client.key").exists());
    assert_eq!(home.open().clients().expect("clients").len(), 1);
}

#[test]
fn an_admin_can_turn_a_device_away() {
    let home = Home::new();
    let second = Second::of(&home);
    let mut waiting = second.begin("pad");
    let admin = home.open();
    assert!(matches!(admin.refuse_device("pod"), Err(KeysError::Invalid { .. })));
    admin.refuse_device("pad").expect("refuse");
    assert!(matches!(waiting.poll().expect("poll"), Progress::Refused(_)));
    assert_eq!(admin.devices().expect("list"), []);
}

#[test]
fn a_service_that_changes_something_is_found_out() {
    let home = Home::new();
    let admin = home.open();
    let wrong_code = |shown: &Code| home.open().approve_device(shown, &Approval::default()).expect_err("refused");

    // The answer is changed on its way.
    let second = Second::of(&home);
    let mut waiting = second.begin("pad");
    admin.devices().expect("list");
    home.sql(&format!("UPDATE enrolments SET answer = {}", Home::bytes(&"11".repeat(32))));
    let shown = code(&mut waiting);
    assert!(matches!(wrong_code(&shown), KeysError::Invalid { .. }));
    home.sql(&format!("UPDATE enrolments SET answer = {}", Home::bytes(&"22".repeat(32))));
    assert!(waiting.poll().expect_err("another answer").to_string().contains("changed"));
    home.sql("DELETE FROM enrolments");

    // Another key is put in its place after the admin has answered.
    let (mut waiting, mut attacker) = (second.begin("pad"), Second::of(&home).begin("pod"));
    admin.devices().expect("list");
    let shown = code(&mut waiting);
    code(&mut attacker);
    home.sql(
        "CREATE TEMP TABLE other AS SELECT * FROM enrolments WHERE device = 'pod';
        UPDATE enrolments SET public = (SELECT public FROM other) WHERE device = 'pad';
        DELETE FROM enrolments WHERE device = 'pod'",
    );
    assert!(matches!(wrong_code(&shown), KeysError::Invalid { .. }));
    assert_eq!(home.open().clients().expect("clients").len(), 1);
    home.sql("DELETE FROM enrolments");

    // A service that says yes by itself gives no standing.
    let mut waiting = second.begin("pad");
    home.sql("UPDATE enrolments SET approved = 1");
    assert!(waiting.poll().is_err());
    home.sql("UPDATE enrolments SET approved = 0");
    admin.devices().expect("list");
    code(&mut waiting);
    home.sql("UPDATE enrolments SET approved = 1");
    assert!(matches!(waiting.poll(), Err(KeysError::ClientUnknown { .. })));
    assert!(!second.options("pad").home.join("device/client.key").exists());
}

#[test]
fn five_minutes_are_the_end() {
    let home = Home::new();
    let mut waiting = Second::of(&home).begin("pad");
    let admin = home.open();
    admin.devices().expect("list");
    code(&mut waiting);
    home.sql(&format!("UPDATE enrolments SET created_ms = created_ms - {LIFETIME_MS}"));
    assert!(matches!(waiting.poll(), Err(KeysError::Invalid { .. })));
    assert_eq!(admin.devices().expect("list"), []);
}

#[test]
fn strangers_are_checked() {
    let home = Home::new();
    let web = home.application();
    let engine = home.engine(&web);
    let key = ClientKey::generate().expect("key");
    fn sign<B: Body>(engine: &Engine, key: &ClientKey, body: B) -> Request<B> {
        Request::sign(engine.service_id(), key, body).expect("sign")
    }
    let begin = |public: &ClientKey, device: &str| BeginEnrol {
        public: public.public().clone(),
        commitment: [1; 32],
        device: device.into(),
        owner: String::new(),
    };
    let refused = |done: Result<(), KeysError>| matches!(done, Err(KeysError::Refused { .. }));
    // Signed by another key than the one that it is about; altered; replayed; of a client that is there.
    assert!(refused(engine.begin_enrol(&sign(&engine, &web.parts().0, begin(&key, "pad")))));
    let good = sign(&engine, &key, begin(&key, "pad"));
    let mut altered = good.clone();
    altered.auth.signature.0[0] ^= 1;
    assert!(refused(engine.begin_enrol(&altered)));
    for bad in ["", " pad", "p\nd", &"x".repeat(129)] {
        let done = engine.begin_enrol(&sign(&engine, &key, begin(&key, bad)));
        assert!(matches!(done, Err(KeysError::Invalid { .. })), "{bad:?}");
    }
    engine.begin_enrol(&good).expect("begin");
    assert!(refused(engine.begin_enrol(&good)));
    let known = web.parts().0;
    assert!(matches!(engine.begin_enrol(&sign(&engine, &known, begin(&known, "pad"))), Err(KeysError::Exists { .. })));
    // Before the answer nothing is revealed; somebody else's run is nobody's business.
    assert!(refused(engine.reveal_enrol(&sign(&engine, &key, RevealEnrol { opening: [2; 32] }))));
    let stranger = ClientKey::generate().expect("key");
    let status = engine.enrol_status(&sign(&engine, &stranger, EnrolStatus {}));
    assert!(matches!(status, Err(KeysError::Invalid { .. })));
    assert_eq!(engine.enrol_status(&sign(&engine, &key, EnrolStatus {})), Ok(EnrolState::Waiting));
    // Only admins look, answer, approve, refuse.
    let id = key.client_id();
    let not_admin = |done: Result<(), KeysError>| assert!(matches!(done, Err(KeysError::NotAdmin { .. })), "{done:?}");
    not_admin(engine.list_enrol(&sign(&engine, &known, ListEnrol {})).map(drop));
    let answer = AnswerEnrol { client: id, commitment: [1; 32], answer: [3; 32] };
    not_admin(engine.answer_enrol(&sign(&engine, &known, answer)));
    not_admin(engine.refuse_enrol(&sign(&engine, &known, RefuseEnrol { client: id, why: "no".into() })));
    let admin = Secret(std::fs::read_to_string(home.path().join("device/client.key")).expect("key").trim().to_owned());
    let admin = admin.parts().0;
    let record = crate::keys::claims::ClientRecord {
        public: key.public().clone(),
        name: "pad".into(),
        kind: ClientKind::Device,
        created_ms: 1,
        expires_ms: None,
        owner: String::new(),
        device: String::new(),
    };
    let approve = |signer: &ClientKey| {
        let record = crate::keys::claims::Signed::new(&record, signer);
        ApproveEnrol { expected: engine.revision().expect("revision"), record, grants: Vec::new() }
    };
    not_admin(engine.approve_enrol(&sign(&engine, &known, approve(&known))));
    // An admin answers once, and approves what was revealed.
    assert!(refused(engine.approve_enrol(&sign(&engine, &admin, approve(&admin)))));
    let answer = |byte: u8| AnswerEnrol { client: id, commitment: [1; 32], answer: [byte; 32] };
    engine.answer_enrol(&sign(&engine, &admin, answer(3))).expect("answer");
    assert!(refused(engine.answer_enrol(&sign(&engine, &admin, answer(4)))));
    assert!(
        refused(engine.reveal_enrol(&sign(&engine, &key, RevealEnrol { opening: [2; 32] }))),
        "not what it is bound to"
    );
    // Too many wait.
    for _ in 0..31 {
        let key = ClientKey::generate().expect("key");
        engine.begin_enrol(&sign(&engine, &key, begin(&key, "pad"))).expect("begin");
    }
    let more = ClientKey::generate().expect("key");
    assert!(refused(engine.begin_enrol(&sign(&engine, &more, begin(&more, "pad")))));
    engine.begin_enrol(&sign(&engine, &key, begin(&key, "pad"))).expect("its own run may begin again");
    let closed = engine.under(crate::keyserver::Policy { devices: false });
    let done = closed.begin_enrol(&sign(&closed, &more, begin(&more, "pad")));
    assert!(matches!(done, Err(KeysError::Policy { .. })));
}
