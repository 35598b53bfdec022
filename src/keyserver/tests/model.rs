//! Random sequences of acts against a small model, with stores that are lost and restored: every live share derives the same
//! keys, no revoked one does, nothing comes back that was taken away, and no older state is taken for the present one.
//!
//! The seed stands in every message; `COLUMNSEAL_TEST_SEED` runs one alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::keys::service::Revision;
use crate::keyserver::files;
use crate::keyserver::store::backup::restore;

use super::*;

/// A small reproducible generator (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).expect("small")
    }

    fn pick(&mut self, names: Vec<&String>) -> String {
        names[self.roll(names.len())].clone()
    }
}

#[derive(Clone)]
struct Keyset {
    enabled: bool,
    current: u32,
    oldest: u32,
    /// The highest number that an epoch was given.
    given: u32,
    /// Epochs that were published, each with an id of its own: after a restore a number may be given again.
    epochs: BTreeMap<u32, usize>,
}

/// What the workspace should be like. A backup is a copy of it.
#[derive(Clone, Default)]
struct Model {
    /// The switch of each.
    clients: BTreeMap<String, bool>,
    keysets: BTreeMap<String, Keyset>,
    grants: BTreeMap<(String, String), Permissions>,
}

/// What was taken away.
#[derive(Clone)]
enum Taken {
    Grant(String, String),
    Client(String),
    Keyset(String),
    Epochs(String),
}

impl Model {
    /// After a restore. `lost`: as it was before.
    fn take_away(&mut self, taken: &Taken, lost: &Model) {
        match taken {
            Taken::Grant(client, keyset) => drop(self.grants.remove(&(client.clone(), keyset.clone()))),
            Taken::Client(client) => self.clients.get_mut(client).into_iter().for_each(|on| *on = false),
            Taken::Keyset(name) => self.keysets.get_mut(name).into_iter().for_each(|keyset| keyset.enabled = false),
            Taken::Epochs(name) => {
                if let (Some(keyset), Some(lost)) = (self.keysets.get_mut(name), lost.keysets.get(name)) {
                    if lost.oldest > keyset.oldest {
                        (keyset.oldest, keyset.current) = (lost.oldest, lost.current);
                        keyset.given = keyset.given.max(lost.current);
                    }
                }
            }
        }
    }
}

struct Backup {
    file: PathBuf,
    model: Model,
    /// So much had been taken away before.
    taken: usize,
}

struct World {
    home: Home,
    workspace: Workspace,
    model: Model,
    taken: Vec<Taken>,
    backups: Vec<Backup>,
    /// Of every client there ever was.
    secrets: BTreeMap<String, Secret>,
    /// By id of their epoch: keyset and envelope. Also of epochs that are lost.
    values: BTreeMap<usize, (String, Vec<u8>)>,
    terms: BTreeMap<String, [u8; 16]>,
    made: usize,
    seen: Revision,
}

impl World {
    fn new() -> Self {
        let home = Home::new();
        let (workspace, model) = (home.open(), Model::default());
        let mut world = Self {
            home,
            workspace,
            model,
            taken: Vec::new(),
            backups: Vec::new(),
            secrets: BTreeMap::new(),
            values: BTreeMap::new(),
            terms: BTreeMap::new(),
            made: 0,
            seen: Revision::default(),
        };
        world.add_keyset("default");
        for _ in 0..2 {
            world.create_keyset();
            world.create_client();
        }
        world
    }

    fn next(&mut self) -> usize {
        self.made += 1;
        self.made
    }

    fn add_keyset(&mut self, name: &str) {
        let epochs = BTreeMap::from([(1, self.next())]);
        let keyset = Keyset { enabled: true, current: 1, oldest: 1, given: 1, epochs };
        self.model.keysets.insert(name.to_owned(), keyset);
    }

    fn create_keyset(&mut self) {
        let name = format!("k{}", self.next());
        self.workspace.create_keyset(&name).expect("keyset");
        self.add_keyset(&name);
    }

    fn create_client(&mut self) {
        let name = format!("c{}", self.next());
        self.secrets.insert(name.clone(), self.home.client(&name, &[], Permissions::APPLICATION));
        self.model.clients.insert(name, true);
    }

    fn step(&mut self, dice: &mut Dice) {
        let client = dice.pick(self.model.clients.keys().collect());
        let keyset = dice.pick(self.model.keysets.keys().collect());
        match dice.roll(20) {
            0..=4 => self.grant(client, keyset, 1 + u8::try_from(dice.roll(7)).expect("small")),
            5..=6 => self.revoke(&client, Some(&keyset)),
            7 => self.revoke(&client, None),
            8 => self.switch_client(client),
            9 => self.switch_keyset(keyset),
            10..=11 => self.rotate(&keyset),
            12..=13 => self.drop_epoch(&keyset),
            14 if self.model.clients.len() < 5 => self.create_client(),
            15 if self.model.keysets.len() < 5 => self.create_keyset(),
            16..=17 => self.back_up(),
            18 => self.restore(dice),
            _ => self.workspace = self.home.open(),
        }
    }

    fn grant(&mut self, client: String, keyset: String, bits: u8) {
        let permissions = Permissions::from_bits(bits).expect("bits");
        self.workspace.grant(&client, &keyset, permissions, None).expect("grant");
        let before = self.model.grants.insert((client.clone(), keyset.clone()), permissions);
        if before.is_some_and(|before| !permissions.allows(before)) {
            self.taken.push(Taken::Grant(client, keyset));
        }
    }

    fn revoke(&mut self, client: &str, keyset: Option<&str>) {
        let taken = self.workspace.revoke(client, keyset).expect("revoke").len();
        let hit = |of: &(String, String)| of.0 == client && keyset.is_none_or(|keyset| of.1 == keyset);
        let gone = self.model.grants.keys().filter(|of| hit(of)).cloned().collect::<Vec<_>>();
        assert_eq!(taken, gone.len());
        self.model.grants.retain(|of, _| !hit(of));
        self.taken.extend(gone.into_iter().map(|(client, keyset)| Taken::Grant(client, keyset)));
    }

    fn switch_client(&mut self, client: String) {
        let enabled = self.model.clients.get_mut(&client).expect("picked");
        *enabled = !*enabled;
        self.workspace.set_client_enabled(&client, *enabled).expect("switch");
        if !*enabled {
            self.taken.push(Taken::Client(client));
        }
    }

    fn switch_keyset(&mut self, name: String) {
        let enabled = &mut self.model.keysets.get_mut(&name).expect("picked").enabled;
        if name == "default" {
            assert!(self.workspace.set_keyset_enabled(&name, false).is_err());
            return;
        }
        *enabled = !*enabled;
        self.workspace.set_keyset_enabled(&name, *enabled).expect("switch");
        if !*enabled {
            self.taken.push(Taken::Keyset(name));
        }
    }

    fn rotate(&mut self, name: &str) {
        let id = self.next();
        let info = self.workspace.rotate_keyset(name, &|_, _| {}).expect("rotate");
        let keyset = self.model.keysets.get_mut(name).expect("picked");
        keyset.given += 1;
        keyset.current = keyset.given;
        keyset.epochs.insert(keyset.current, id);
        assert_eq!((info.data_epoch, info.oldest_epoch), (keyset.current, keyset.oldest));
    }

    fn drop_epoch(&mut self, name: &str) {
        let keyset = self.model.keysets.get_mut(name).expect("picked");
        let dropped = self.workspace.drop_epoch(name, keyset.oldest);
        assert_eq!(dropped.is_ok(), keyset.oldest < keyset.current, "{dropped:?}");
        if dropped.is_ok() {
            keyset.oldest += 1;
            self.taken.push(Taken::Epochs(name.to_owned()));
        }
    }

    fn back_up(&mut self) {
        let file = self.home.path().join(format!("backup{}", self.next()));
        self.home.service().backup(&file).expect("backup");
        self.backups.push(Backup { file, model: self.model.clone(), taken: self.taken.len() });
    }

    /// The store is lost, and made anew from one of the backups; with what was taken away since, or without.
    fn restore(&mut self, dice: &mut Dice) {
        if self.backups.is_empty() {
            return;
        }
        let (at, whole) = (dice.roll(self.backups.len()), dice.roll(3) > 0);
        let since = self.home.path().join("revocations");
        let all = self.home.service().export_revocations(0).expect("export");
        fs::write(&since, all.iter().map(|one| serde_json::to_string(one).expect("json") + "\n").collect::<String>())
            .expect("write");
        self.backups.truncate(at + 1);
        let Backup { file, model, taken } = &self.backups[at];
        self.lose();
        restore(file, &self.home.spec(), whole.then_some(since.as_path())).expect("restore");
        let lost = std::mem::replace(&mut self.model, model.clone());
        if whole {
            self.taken[*taken..].iter().for_each(|taken| self.model.take_away(taken, &lost));
        } else {
            self.taken.truncate(*taken);
        }
        self.workspace = self.home.open();
        assert_eq!(self.workspace.export().err(), Some(KeysError::Sealed));
        assert!(self.workspace.unseal().expect("unseal"));
    }

    /// Only the root key remains.
    fn lose(&self) {
        let path = self.home.path().join("store").join("root.key");
        let key = fs::read_to_string(&path).expect("a root key");
        self.home.lose_store();
        if !path.exists() {
            files::private_folder(path.parent().expect("a folder")).expect("folder");
            assert!(files::create(&path, &key).expect("root key"));
        }
    }

    /// Every client does everything with every keyset; what works is what the model says.
    async fn check(&mut self, step: &str) {
        self.check_revision(step).await;
        let names = self.secrets.keys().cloned().collect::<Vec<_>>();
        for name in names {
            let settings = Settings { keyset: None, min_revision: self.seen, ..self.home.settings() };
            let secret = &self.secrets[&name];
            let started = self.home.ring_with(secret, &settings).await;
            let expected = match self.model.clients.get(&name) {
                Some(true) => None,
                Some(false) => Some(KeysError::ClientDisabled { client: name.clone() }),
                None => Some(KeysError::ClientUnknown { client: secret.id() }),
            };
            assert_eq!(started.as_ref().err(), expected.as_ref(), "{step}, client {name}");
            let Ok(ring) = started else { continue };
            for keyset in self.model.keysets.keys().cloned().collect::<Vec<_>>() {
                self.check_pair(&ring, (name.clone(), keyset), step).await;
            }
            self.check_values(&ring, &name, step).await;
        }
    }

    /// The state only becomes newer, also by a restore; clients that remember refuse an older one.
    async fn check_revision(&mut self, step: &str) {
        let now = self.home.service().revision().expect("revision");
        assert!(now >= self.seen, "{step}: {now:?} after {:?}", self.seen);
        self.seen = now;
        let Some((name, _)) = self.model.clients.iter().find(|(_, enabled)| **enabled) else { return };
        let newer =
            [Revision { revision: now.revision + 1, ..now }, Revision { generation: now.generation + 1, revision: 1 }];
        for min_revision in newer {
            let settings = Settings { keyset: None, min_revision, ..self.home.settings() };
            let started = self.home.ring_with(&self.secrets[name], &settings).await;
            assert!(matches!(started, Err(KeysError::RolledBack { .. })), "{step}: {:?}", started.err());
        }
    }

    async fn check_pair(&mut self, ring: &Ring, pair: (String, String), step: &str) {
        let (client, name) = &pair;
        let keyset = &self.model.keysets[name];
        let what = format!("{step}, client {client}, keyset {name}");
        let permissions = self.model.grants.get(&pair).copied().filter(|_| keyset.enabled);
        let allows = |wanted| permissions.is_some_and(|p| p.allows(wanted));
        let Ok(id) = ring.resolve(name) else {
            assert!(!self.model.grants.contains_key(&pair), "{what}");
            return;
        };
        let ready = ring.ready(id).await;
        let epoch = keyset.epochs.get(&keyset.current);
        assert_eq!(ready.is_ok(), allows(Permissions::ENCRYPT) && epoch.is_some(), "{what}: {ready:?}");
        if let Some(epoch) = epoch.filter(|_| ready.is_ok()) {
            let (key, _) = ring.data_key(id, 1).expect("ready");
            self.values.entry(*epoch).or_insert_with(|| (name.clone(), seal(&key, name)));
        }
        let term = ring.fetch_term_keys(id, TYPE).await;
        assert_eq!(term.is_ok(), allows(Permissions::QUERY), "{what}");
        if let Ok(key) = term {
            let term = key.eq.term(b"value");
            assert_eq!(*self.terms.entry(name.clone()).or_insert(term), term, "{what}");
        }
    }

    /// Values open where their epoch lives and the client may read it; those of lost and dropped epochs nowhere.
    async fn check_values(&self, ring: &Ring, client: &str, step: &str) {
        let numbers = self.values.values().map(|(_, value)| super::name(value).0.0).collect::<BTreeSet<_>>();
        assert_eq!(numbers.len(), self.values.len(), "{step}: a number was given twice");
        for (id, (name, value)) in &self.values {
            let alive = self.model.keysets.get(name).is_some_and(|keyset| {
                keyset.enabled && keyset.epochs.iter().any(|(epoch, of)| of == id && *epoch >= keyset.oldest)
            });
            let granted = self.model.grants.get(&(client.to_owned(), name.clone()));
            let readable = alive && granted.is_some_and(|granted| granted.allows(Permissions::DECRYPT));
            let opened = decrypt(ring, value).await;
            assert_eq!(opened.is_ok(), readable, "{step}, client {client}, value {id} of {name}: {opened:?}");
            assert!(opened.is_err() || opened.as_ref() == Ok(name), "{step}");
        }
    }
}

#[tokio::test]
async fn every_live_share_derives_the_same_keys_and_no_revoked_one_does() {
    let one = std::env::var("COLUMNSEAL_TEST_SEED").ok().map(|seed| seed.parse::<u64>().expect("a number"));
    for seed in one.map_or(1..=4, |seed| seed..=seed) {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ seed);
        let mut world = World::new();
        for step in 0..60 {
            let step = format!("seed {seed}, step {step}");
            println!("{step}");
            let generation = world.seen.generation;
            world.step(&mut dice);
            let restored = world.home.service().revision().expect("revision").generation > generation;
            if restored || dice.roll(4) == 0 {
                world.check(&step).await;
            }
        }
        world.check(&format!("seed {seed}, the end")).await;
        world.workspace.audit_verify().expect("the trail is whole");
    }
}
