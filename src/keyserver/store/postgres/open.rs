//! Opening and making a store in a database.

use std::sync::Mutex;

use crate::crypto::random;
use crate::keys::error::KeysError;
use crate::net::dial::Dialer;
use crate::net::settings::Target;

use super::super::{Tx, Value, migrations};
use super::drive::Driver;
use super::fault::Place;
use super::pool::Pool;
use super::{Postgres, WRITE, take_turn};

/// Two servers that make the same table at the same moment: one of them begins anew.
const MEET: u32 = 5;

impl Postgres {
    /// Opens an existing store and brings its schema up to date. Never makes one.
    pub fn open(url: &str) -> Result<Self, KeysError> {
        let store = Self::connect(url)?;
        store.check()?;
        store.migrate(migrations::newest())?;
        Ok(store)
    }

    /// Makes an empty store in a database that is there; one that is there is opened.
    pub fn create(url: &str) -> Result<Self, KeysError> {
        Self::create_at(url, migrations::newest())
    }

    /// As [`create`](Self::create), with an older schema.
    pub(in super::super) fn create_at(url: &str, version: u32) -> Result<Self, KeysError> {
        let store = Self::connect(url)?;
        store.meet(|tx| if store.is_there(tx)? { Ok(()) } else { migrations::prepare(tx) })?;
        store.check()?;
        store.migrate(version)?;
        Ok(store)
    }

    fn connect(url: &str) -> Result<Self, KeysError> {
        let target = Target::parse(url, None).map_err(|faults| {
            let told = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            KeysError::invalid(format!("the URL of the key store: {told}"))
        })?;
        let place = Place::of(&target);
        let dialer = Dialer::new(target).map_err(|error| place.unavailable(&error.to_string()))?;
        let driver = Driver::new().map_err(|error| place.unavailable(&error.to_string()))?;
        let writer = random::array().map_err(|error| place.unavailable(&error.to_string()))?;
        let (pool, changing) = (Pool::new(dialer), Mutex::new(()));
        Ok(Self { place, pool, writer, marker: 0.into(), changing, driver })
    }

    fn is_there(&self, tx: &dyn Tx) -> Result<bool, KeysError> {
        let sql = "SELECT table_name::text FROM information_schema.tables
            WHERE table_schema = current_schema() AND table_name = $1";
        Ok(!tx.rows(sql, &[Value::Text("schema_versions")])?.is_empty())
    }

    fn check(&self) -> Result<(), KeysError> {
        let (mut there, mut found) = (false, 0);
        self.snapshot(&mut |tx| {
            there = self.is_there(tx)?;
            found = if there { migrations::version(tx)? } else { 0 };
            Ok(())
        })?;
        let known = migrations::newest();
        match there {
            false => Err(KeysError::StoreMissing { path: self.place.path() }),
            true if found > known => Err(KeysError::StoreNewer { path: self.place.path(), found, known }),
            true => Ok(()),
        }
    }

    fn migrate(&self, until: u32) -> Result<(), KeysError> {
        let mut from = 0;
        self.snapshot(&mut |tx| {
            from = migrations::version(tx)?;
            Ok(())
        })?;
        if from >= until {
            return Ok(());
        }
        self.meet(|tx| {
            // Whoever migrates at the same moment waits here, and then sees that it is done.
            tx.execute("UPDATE schema_versions SET applied_ms = applied_ms", &[])?;
            let from = migrations::version(tx)?;
            if from >= 2 {
                take_turn(tx)?;
            }
            migrations::apply_until(tx, from, until)
        })
    }

    fn meet(&self, work: impl Fn(&dyn Tx) -> Result<(), KeysError>) -> Result<(), KeysError> {
        let mut done = Ok(());
        for _ in 0..MEET {
            done = self.run(WRITE, &mut |tx| work(tx), &|| Err(KeysError::OutcomeUnknown));
            let met = matches!(done, Err(KeysError::StoreCorrupt { .. } | KeysError::Exists { .. }));
            if !met {
                break;
            }
        }
        done
    }
}
