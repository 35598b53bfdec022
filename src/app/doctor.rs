//! The checks of a whole set-up, one after the other: what `columnseal doctor` prints.

use crate::config::{Config, Environment};
use crate::crypto::TypeId;
use crate::doctor::{self, Dumped, Finding, Level, Trial};
use crate::keys::Ring;
use crate::keys::settings::Service;
use crate::net::connect::{ConnectError, connect_with};
use crate::net::dial::Dialer;
use crate::net::stream::Stream;
use crate::net::target::is_loopback;
use crate::schema::catalog::{Catalog, Standing};
use crate::schema::{database, install, pins};
use crate::session::audit::AuditSink;
use crate::session::settings::Policy;
use crate::telemetry::Metrics;

use super::{StartError, client_key, start_ring, usable_keyset};

/// Something that was checked.
#[derive(Debug)]
pub struct Check {
    /// What it is about: a word, or a kind of object.
    pub what: &'static str,
    /// The object, with its schema; empty where there is none.
    pub name: String,
    /// The outcome.
    pub level: Level,
    /// Why, without a full stop.
    pub why: String,
    /// What to do; empty where nothing is to be done.
    pub advice: String,
    /// The error that it failed with, which says what to do.
    pub error: Option<StartError>,
}

impl Check {
    fn new(what: &'static str, level: Level, why: impl Into<String>, advice: impl Into<String>) -> Check {
        Check { what, name: String::new(), level, why: why.into(), advice: advice.into(), error: None }
    }

    fn ok(what: &'static str, why: impl Into<String>) -> Check {
        Check::new(what, Level::Ok, why, "")
    }

    fn failed(what: &'static str, error: impl Into<StartError>) -> Check {
        let error = error.into();
        Check { error: Some(error), ..Check::new(what, Level::Fault, "", "") }
    }
}

impl From<Finding> for Check {
    fn from(found: Finding) -> Check {
        let Finding { what, name, level, why, advice } = found;
        Check { what, name, level, why, advice, error: None }
    }
}

/// What the key service knows that the checks of the database need.
#[derive(Default)]
struct Known {
    signed: Vec<(TypeId, String)>,
    /// `None`: they could not be had.
    pins: Option<Vec<(String, TypeId)>>,
}

/// Checks everything, and changes nothing. What cannot be looked at because of a fault before it is left out, and told.
pub async fn doctor(config: &Config, environment: &Environment) -> Vec<Check> {
    let mut checks = risks(config);
    let known = keys(config, &mut checks).await;
    audit(config, &mut checks).await;
    if let Err(error) = database_checks(config, environment, &known, &mut checks).await {
        checks.push(Check::failed("database", error));
    }
    checks
}

/// Set-ups that work and are weaker than they look.
fn risks(config: &Config) -> Vec<Check> {
    let mut checks = vec![Check::ok("settings", "no faults")];
    if config.session.is_local() {
        return checks;
    }
    if std::fs::File::open(config.keys.home.join("device/client.key")).is_ok() {
        let why = "an admin's device key can be read by this proxy: whoever takes over the proxy can grant";
        checks.push(Check::new("settings", Level::Warning, why, "keep the folder device/ on another machine"));
    }
    if !config.session.require_tls {
        let why = "clients may connect without TLS: logins and plaintext can be read on the network";
        checks.push(Check::new("settings", Level::Warning, why, "set server.require_tls = true"));
    }
    checks
}

/// Client key, key service, lease, keysets.
async fn keys(config: &Config, checks: &mut Vec<Check>) -> Known {
    let client = match client_key(config.client.as_ref()) {
        Ok((client, _)) => client.client_id().to_string(),
        Err(error) => {
            checks.push(Check::failed("client key", error));
            return Known::default();
        }
    };
    let (ring, engine) = match start_ring(config, Metrics::detached().key_service).await {
        Ok(started) => started,
        Err(error) => {
            checks.push(Check::failed("key service", error));
            return Known::default();
        }
    };
    checks.push(Check::ok("client key", format!("{client} is known and enabled")));
    let place = match &config.keys.service {
        Service::Embedded => "embedded",
        Service::Server(_) => "the key server answers, and its clock agrees with this one's",
    };
    checks.push(Check::ok("key service", place));
    checks.push(match ring.lease_left() {
        left if left.is_zero() => Check::new("lease", Level::Fault, "it is over", "make the key service reachable"),
        left => Check::ok("lease", format!("{} s left", left.as_secs())),
    });
    keysets(config, &ring, checks).await;
    let target = &config.session.database;
    // As libpq takes the name of the role where none is given.
    let database = target.name.as_deref().or(target.user.as_deref()).unwrap_or_default();
    let pins = match ring.pins(database).await {
        Ok(pins) => Some(pins.into_iter().map(|pin| (pin.object, pin.type_id)).collect()),
        Err(error) => {
            checks.push(Check::failed("pins", error));
            None
        }
    };
    let known = Known { signed: ring.types().to_vec(), pins };
    ring.stop().await;
    if let Some(engine) = engine {
        engine.close().await;
    }
    known
}

async fn keysets(config: &Config, ring: &Ring, checks: &mut Vec<Check>) {
    match (usable_keyset(ring).await, ring.configured()) {
        (Err(error), _) => checks.push(Check::failed("keyset", error)),
        (Ok(()), Some(name)) => {
            checks.push(Check::ok("keyset", format!("{name}: new values can be encrypted and searched for")));
        }
        (Ok(()), None) => checks.push(Check::ok("keyset", "none is set: every session must choose one")),
    }
    for granted in ring.granted().into_iter().filter(|granted| !granted.enabled) {
        let why = format!("keyset {} is granted, but disabled: its values cannot be read", granted.name);
        let advice = "an admin can run `columnseal keyset enable KEYSET`";
        checks.push(Check::new("keyset", Level::Warning, why, advice));
    }
    if !config.session.is_local() && ring.may_grant() {
        let why = "CS_CLIENT_KEY may grant keysets: whoever takes over this proxy can grant";
        checks.push(Check::new("keyset", Level::Warning, why, "use a client key without that permission"));
    }
}

/// Whether records of data access can be kept where the settings say.
async fn audit(config: &Config, checks: &mut Vec<Check>) {
    let (keystore, _handovers) = tokio::sync::mpsc::channel(1);
    match AuditSink::new(&config.audit.sink, keystore).check().await {
        Ok(()) => {}
        Err(error) if config.audit.required => checks.push(Check::failed("audit", error)),
        Err(error) => {
            let why = format!("records of data access cannot be kept: {error}");
            checks.push(Check::new("audit", Level::Warning, why, "make the file of audit.sink writable"));
        }
    }
}

/// Connection, schema, types, pins, objects, a dump.
async fn database_checks(
    config: &Config,
    environment: &Environment,
    known: &Known,
    checks: &mut Vec<Check>,
) -> Result<(), StartError> {
    let (session, target) = (&config.session, &config.session.database);
    let dialer = Dialer::new(target.clone())?;
    let stream = dialer.dial(dialer.attempts()[0]).await.map_err(ConnectError::from)?.stream;
    checks.push(transport(&dialer, &stream));
    drop(stream);
    if target.user.is_none() {
        let why = "it answers; nothing in it was looked at, since database.user is not set";
        checks.push(Check::new("database", Level::Warning, why, "run this with --database and a role"));
        return Ok(());
    }
    let client = connect_with(&dialer, None).await?;
    checks.push(Check::ok("database", "it lets the role log in"));
    let pinned = !session.policy.encrypted.is_empty() || known.pins.as_ref().is_some_and(|pins| !pins.is_empty());
    let catalog = match database::load(&client, &known.signed, &session.policy.trusted_functions, pinned).await {
        Ok(catalog) => catalog,
        Err(error) => {
            checks.push(Check::failed("catalog", error));
            return Ok(());
        }
    };
    let relations: usize = catalog.relations.values().map(|r| r.len()).sum();
    checks.push(Check::ok("catalog", format!("the role can read it: {relations} relations")));
    schema(&catalog, checks);
    checks.extend(pins_hold(&catalog, known, &session.policy));
    if catalog.seal_version.is_none() {
        return Ok(());
    }
    if known.signed.is_empty() && known.pins.is_none() {
        checks.push(Check::new("types", Level::Warning, "signatures are not checked without the key service", ""));
    } else {
        types(&catalog, &session.policy, checks);
    }
    for problem in database::registry_problems(&client, &catalog).await? {
        checks.push(Check::new("types", Level::Fault, problem, "run `columnseal db install`"));
    }
    objects(&client, &catalog, checks).await?;
    // Where programs are found; what of libpq's and ours is set is none of pg_dump's business.
    let kept = ["PATH", "LD_LIBRARY_PATH", "TMPDIR"];
    let kept: Vec<_> = kept.into_iter().filter_map(|name| Some((name, environment.variable(name)?))).collect();
    checks.extend(tried(doctor::dump_and_restore(&client, &dialer, &kept).await?));
    Ok(())
}

fn transport(dialer: &Dialer, stream: &Stream) -> Check {
    let near = dialer.target().hosts.iter().all(|(host, _)| is_loopback(host));
    match stream {
        Stream::Tls(_) if near || dialer.channel(stream).private => Check::ok("database", "it answers, with TLS"),
        Stream::Tls(_) => {
            let why = "it answers with TLS, and its certificate is not checked";
            Check::new("database", Level::Warning, why, "set database.tls = \"verify-full\"")
        }
        Stream::Plain(_) if near => Check::ok("database", "it answers, without TLS on this machine"),
        Stream::Plain(_) => {
            let why =
                "it answers without TLS: logins, ciphertext and what is plain can be read and changed on the network";
            Check::new("database", Level::Warning, why, "set database.tls = \"verify-full\"")
        }
    }
}

fn schema(catalog: &Catalog, checks: &mut Vec<Check>) {
    checks.push(match catalog.seal_version {
        None => Check::new("seal", Level::Fault, "schema seal is not installed", "run `columnseal db install`"),
        Some(version) if version == install::VERSION => Check::ok("seal", format!("version {version}, current")),
        Some(version) if version < install::VERSION => {
            let why = format!("version {version}, and this columnseal has {}", install::VERSION);
            Check::new("seal", Level::Warning, why, "run `columnseal db upgrade`")
        }
        Some(version) => {
            let why = format!("version {version} is newer than this columnseal, which knows {}", install::VERSION);
            Check::new("seal", Level::Fault, why, "use the newer columnseal that installed it")
        }
    });
}

fn types(catalog: &Catalog, policy: &Policy, checks: &mut Vec<Check>) {
    let (mut good, mut wrong) = (0, Vec::new());
    for enc in catalog.types.values().filter(|enc| enc.whole.is_none()) {
        let name = &enc.def.name;
        match &enc.standing {
            Standing::Verified => good += 1,
            Standing::Unsigned if policy.adopt_unsigned_types => {
                let why = format!("type seal.{name} is not signed, and will be adopted at first use");
                wrong.push(Check::new(
                    "types",
                    Level::Warning,
                    why,
                    "set policy.unsigned_types = \"refuse\" in production",
                ));
            }
            Standing::Unsigned => {
                let why = format!("type seal.{name} is not signed: statements that use it are refused");
                let advice = format!("look at its definition, then run `columnseal type adopt {name}`");
                wrong.push(Check::new("types", Level::Fault, why, advice));
            }
            Standing::Broken(why) => {
                let why = format!("type seal.{name} is refused: {why}");
                wrong.push(Check::new(
                    "types",
                    Level::Fault,
                    why,
                    "restore its definition in schema seal, and find out who changed it",
                ));
            }
        }
    }
    wrong.sort_by(|a, b| a.why.cmp(&b.why));
    checks.push(Check::ok("types", format!("{good} can be used")));
    checks.extend(wrong);
}

/// Pins and configured columns, against what the database shows.
fn pins_hold(catalog: &Catalog, known: &Known, policy: &Policy) -> Vec<Check> {
    let Some(pins) = &known.pins else { return Vec::new() };
    let mut copy = catalog.clone();
    let mut alarms = pins::check(&mut copy, pins, &policy.encrypted);
    alarms.sort_by(|a, b| (&a.object, &a.why).cmp(&(&b.object, &b.why)));
    let gone = gone(catalog, pins, policy);
    if alarms.is_empty() && gone.is_empty() {
        return vec![Check::ok("pins", format!("{} hold", pins.len() + policy.encrypted.len()))];
    }
    let one = |alarm: pins::Alarm| {
        let advice = format!(
            "find out who changed the database; if it is meant, run `columnseal type confirm` (another type) or `type unpin` \"{}\"",
            alarm.object
        );
        Check { name: alarm.object, ..Check::new("pins", Level::Fault, alarm.why, advice) }
    };
    alarms.into_iter().map(one).chain(gone).collect()
}

/// Columns of tables that are not there at all: statements on them are PostgreSQL's affair, so that is no alarm.
fn gone(catalog: &Catalog, pins: &[(String, TypeId)], policy: &Policy) -> Vec<Check> {
    let pinned = pins.iter().map(|(object, _)| {
        (object.clone(), Level::Warning, "remove the pin if the table was dropped: `columnseal type unpin`")
    });
    let configured = policy.encrypted.iter();
    let configured = configured
        .map(|entry| (format!("column {entry}"), Level::Fault, "correct policy.encrypted, or make the table"));
    let is_gone = |object: &str| pins::is_without_table(catalog, object);
    let mut found: Vec<Check> = pinned
        .chain(configured)
        .filter(|(object, ..)| is_gone(object))
        .map(|(object, level, advice)| {
            let why = format!("{object} must be encrypted, and its table is not there");
            Check { name: object, ..Check::new("pins", level, why, advice) }
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

async fn objects(
    client: &tokio_postgres::Client,
    catalog: &Catalog,
    checks: &mut Vec<Check>,
) -> Result<(), StartError> {
    let found = doctor::examine(client, catalog).await?;
    if found.iter().all(|finding| finding.level < Level::Fault) {
        let encrypted =
            catalog.relations.values().flat_map(|r| r.values()).flat_map(|r| &r.columns).filter(|c| c.direct).count();
        checks.push(Check::ok(
            "objects",
            format!("nothing breaks over {encrypted} encrypted columns of tables and views"),
        ));
    }
    checks.extend(found.into_iter().map(Check::from));
    Ok(())
}

fn tried(trial: Trial) -> Vec<Check> {
    let mut checks = vec![match trial.outcome {
        Dumped::Restored => Check::ok("dump", "a dump of the schema restores into a new database"),
        Dumped::NotTried(why) => {
            let why = format!("it was not tried whether a dump of the schema restores: {why}");
            Check::new("dump", Level::Warning, why, "try it by hand: pg_dump --schema-only, into a new database")
        }
        Dumped::Failed(why) => {
            let why = format!("a dump of the schema does not restore: {why}");
            Check::new(
                "dump",
                Level::Fault,
                why,
                "correct what is named; until then backups do not restore as they are",
            )
        }
    }];
    checks.extend(trial.left.map(|(database, why)| {
        let why = format!("database {database}, in which it was tried, could not be dropped: {why}");
        let advice = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
        Check::new("dump", Level::Warning, why, advice)
    }));
    checks
}
