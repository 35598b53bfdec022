//! Random sequences of acts against a small model: every live share derives the same keys, no revoked one does.

use std::collections::BTreeMap;

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
}

#[derive(Default)]
struct Model {
    clients: Vec<(String, Secret, bool)>,
    keysets: Vec<(String, bool)>,
    grants: BTreeMap<(usize, usize), Permissions>,
    /// Values of each keyset and its epoch, sealed by whoever could first, and an equality term.
    values: BTreeMap<(usize, u32), Vec<u8>>,
    /// Current and oldest data epochs, where not 1.
    epochs: BTreeMap<usize, (u32, u32)>,
    terms: BTreeMap<usize, [u8; 16]>,
}

impl Model {
    fn step(&mut self, dice: &mut Dice, home: &Home, workspace: &mut Workspace) {
        let (client, keyset) = (dice.roll(self.clients.len()), dice.roll(self.keysets.len()));
        let names = (self.clients[client].0.clone(), self.keysets[keyset].0.clone());
        match dice.roll(13) {
            0..=3 => {
                let permissions = Permissions::from_bits(1 + u8::try_from(dice.roll(7)).expect("small")).expect("bits");
                workspace.grant(&names.0, &names.1, permissions, None).expect("grant");
                self.grants.insert((client, keyset), permissions);
            }
            4..=5 => {
                let taken = workspace.revoke(&names.0, Some(&names.1)).expect("revoke").len();
                assert_eq!(taken, usize::from(self.grants.remove(&(client, keyset)).is_some()));
            }
            6 => {
                let taken = workspace.revoke(&names.0, None).expect("revoke").len();
                let before = self.grants.len();
                self.grants.retain(|(of, _), _| *of != client);
                assert_eq!(taken, before - self.grants.len());
            }
            7 => {
                let enabled = &mut self.clients[client].2;
                *enabled = !*enabled;
                workspace.set_client_enabled(&names.0, *enabled).expect("switch");
            }
            8 if keyset > 0 => {
                let enabled = &mut self.keysets[keyset].1;
                *enabled = !*enabled;
                workspace.set_keyset_enabled(&names.1, *enabled).expect("switch");
            }
            9..=10 => {
                let info = workspace.rotate_keyset(&names.1, &|_, _| {}).expect("rotate");
                let (current, oldest) = self.epochs.entry(keyset).or_insert((1, 1));
                *current += 1;
                assert_eq!((info.data_epoch, info.oldest_epoch), (*current, *oldest));
            }
            11 => {
                let (current, oldest) = self.epochs.get(&keyset).copied().unwrap_or((1, 1));
                let dropped = workspace.drop_epoch(&names.1, oldest);
                assert_eq!(dropped.is_ok(), oldest < current, "{dropped:?}");
                if dropped.is_ok() {
                    self.epochs.insert(keyset, (current, oldest + 1));
                }
            }
            _ => *workspace = home.open(),
        }
    }

    /// Every client does everything with every keyset; what works is what the model says.
    async fn check(&mut self, home: &Home, step: &str) {
        for client in 0..self.clients.len() {
            let (name, secret, enabled) = &self.clients[client];
            let settings = Settings { keyset: None, ..home.settings() };
            let ring = match home.ring_with(secret, &settings).await {
                Ok(ring) => ring,
                Err(error) => {
                    assert_eq!(
                        (error, *enabled),
                        (KeysError::ClientDisabled { client: name.clone() }, false),
                        "{step}"
                    );
                    continue;
                }
            };
            assert!(*enabled, "{step}");
            for keyset in 0..self.keysets.len() {
                self.check_pair(&ring, (client, keyset), step).await;
            }
        }
    }

    async fn check_pair(&mut self, ring: &Ring, pair: (usize, usize), step: &str) {
        let (name, enabled) = &self.keysets[pair.1];
        let what = format!("{step}, client {}, keyset {name}", pair.0);
        let permissions = self.grants.get(&pair).copied().filter(|_| *enabled);
        let allows = |wanted| permissions.is_some_and(|p| p.allows(wanted));
        let Ok(keyset) = ring.resolve(name) else {
            assert!(!self.grants.contains_key(&pair), "{what}");
            return;
        };
        let ready = ring.ready(keyset).await;
        assert_eq!(ready.is_ok(), allows(Permissions::ENCRYPT), "{what}: {ready:?}");
        if ready.is_ok() {
            let (key, _) = ring.data_key(keyset, 1).expect("ready");
            let (current, _) = self.epochs.get(&pair.1).copied().unwrap_or((1, 1));
            self.values.entry((pair.1, current)).or_insert_with(|| seal(&key, name));
        }
        let (_, oldest) = self.epochs.get(&pair.1).copied().unwrap_or((1, 1));
        for ((_, epoch), value) in self.values.range((pair.1, 0)..(pair.1 + 1, 0)) {
            let opened = decrypt(ring, value).await;
            let readable = allows(Permissions::DECRYPT) && *epoch >= oldest;
            assert_eq!(opened.is_ok(), readable, "{what}, epoch {epoch}: {opened:?}");
            assert!(opened.is_err() || opened == Ok(name.clone()), "{what}");
        }
        let term = ring.fetch_term_keys(keyset, TYPE).await;
        assert_eq!(term.is_ok(), allows(Permissions::QUERY), "{what}");
        if let Ok(key) = term {
            let term = key.eq.term(b"value");
            assert_eq!(*self.terms.entry(pair.1).or_insert(term), term, "{what}");
        }
    }
}

#[tokio::test]
async fn every_live_share_derives_the_same_keys_and_no_revoked_one_does() {
    for seed in 1..=4 {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ seed);
        let home = Home::new();
        let mut workspace = home.open();
        let mut model = Model { keysets: vec![("default".into(), true)], ..Model::default() };
        for name in ["one", "two"] {
            workspace.create_keyset(name).expect("keyset");
            model.keysets.push((name.into(), true));
        }
        for name in ["a", "b", "c"] {
            model.clients.push((name.into(), home.client(name, &[], Permissions::APPLICATION), true));
        }
        for step in 0..40 {
            model.step(&mut dice, &home, &mut workspace);
            if step % 4 == 0 {
                model.check(&home, &format!("seed {seed}, step {step}")).await;
            }
        }
        workspace.audit_verify().expect("the trail is whole");
    }
}
