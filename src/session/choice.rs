//! What a session has chosen, its keyset and how it sees catalogs, followed as PostgreSQL follows a setting: through transactions,
//! savepoints, SET LOCAL and RESET.
//!
//! The server is never asked: a statement takes effect here when its answer comes, and only if that is the answer it
//! must have. Where the server says what cannot be, the choice is lost until the session chooses again.

use std::sync::Arc;

use super::errors;
use crate::crypto::KeysetId;
use crate::keys::{KeysError, Ring};
use crate::sql::Act;
use crate::sql::introspect::Introspection;
use crate::sql::own::Spelling;
use crate::wire::error::PgError;
use crate::wire::server::TransactionStatus;

/// A choice.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) enum Pick {
    /// The one of the settings.
    #[default]
    Configured,
    /// None at all.
    Nothing,
    /// This keyset.
    Keyset {
        id: KeysetId,
        /// As it was named.
        given: Arc<str>,
    },
    /// What the server said cannot be.
    Lost,
}

impl Pick {
    /// What a setting's value chooses, if it is granted and can be used.
    ///
    /// # Errors
    /// It cannot, or is none.
    pub(super) fn wanted(ring: &Ring, spelling: Spelling, value: &str) -> Result<Pick, PgError> {
        if value.is_empty() {
            return Ok(Pick::Nothing);
        }
        let by_id = value.parse::<KeysetId>().ok();
        if spelling == Spelling::Id && by_id.is_none() {
            return Err(errors::no_id());
        }
        let id = ring.choose(value).map_err(|e| errors::keys(&e, ""))?;
        let fits = match spelling {
            Spelling::Keyset => true,
            Spelling::Id => by_id == Some(id),
            Spelling::Name => ring.name_of(id).as_deref() == Some(value),
            Spelling::Introspection => false,
        };
        if !fits {
            return Err(errors::keys(&KeysError::NoGrant { keyset: value.to_owned() }, ""));
        }
        Ok(Pick::Keyset { id, given: value.into() })
    }

    /// The keyset, or why there is none. `column`: for which column, or empty.
    pub(super) fn keyset(&self, ring: &Ring, column: &str) -> Result<KeysetId, PgError> {
        let keyset = match self {
            Pick::Configured => ring.default_keyset(),
            Pick::Keyset { id, .. } => Ok(*id),
            Pick::Nothing => Err(KeysError::NoKeysetChosen),
            Pick::Lost => return Err(errors::lost_choice()),
        };
        keyset.map_err(|e| errors::keys(&e, column))
    }
}

/// What a setting is set to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Setting {
    /// The keyset.
    Keyset(Pick),
    /// How catalogs are seen.
    Introspection(Introspection),
}

/// What one statement does, once its answer comes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// What words tell.
    Act(Act),
    /// SET: the value and whether it is LOCAL.
    Set(Setting, bool),
    /// RESET, or SET TO DEFAULT: of which setting and whether it is LOCAL.
    Reset(Spelling, bool),
}

impl Turn {
    /// It sets the choice in any case.
    pub(super) fn sets(&self) -> bool {
        matches!(self, Turn::Set(..) | Turn::Reset(..) | Turn::Act(Act::ResetAll | Act::DiscardAll))
    }

    /// It takes back what was set in the transaction, or keeps it.
    pub(super) fn ends(&self) -> bool {
        matches!(self, Turn::Act(Act::Commit(_) | Act::Rollback(_) | Act::RollbackTo(_) | Act::Call))
    }
}

/// What is chosen, and how.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Value<P> {
    pick: P,
    /// By SET, not by RESET.
    by_set: bool,
}

/// All that is chosen.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Chosen {
    keyset: Value<Pick>,
    introspection: Value<Introspection>,
}

impl Chosen {
    fn put(&mut self, setting: Setting, by_set: bool) {
        match setting {
            Setting::Keyset(pick) => self.keyset = Value { pick, by_set },
            Setting::Introspection(pick) => self.introspection = Value { pick, by_set },
        }
    }
}

/// Values of the settings at one level of a transaction.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Values {
    /// Now.
    active: Chosen,
    /// After the transaction commits.
    lasting: Chosen,
}

impl From<Chosen> for Values {
    fn from(value: Chosen) -> Self {
        Values { active: value.clone(), lasting: value }
    }
}

/// The choice of a session.
#[derive(Default, Debug)]
pub(super) struct Choice {
    /// What RESET goes back to.
    reset: Chosen,
    now: Values,
    /// What a rollback goes back to.
    before: Chosen,
    /// Savepoints by name, with the values at their beginning.
    saves: Vec<(Box<str>, Values)>,
    /// A transaction block is open.
    block: bool,
    /// A statement failed; the transaction is not over yet.
    failed: bool,
    /// Something was set in this transaction.
    touched: bool,
}

impl Choice {
    /// A session that begins with this.
    pub(super) fn new(keyset: Pick, introspection: Introspection) -> Self {
        let (keyset, introspection) =
            (Value { pick: keyset, by_set: false }, Value { pick: introspection, by_set: false });
        let reset = Chosen { keyset, introspection };
        Choice { now: reset.clone().into(), before: reset.clone(), reset, ..Choice::default() }
    }

    /// The keyset now.
    pub(super) fn active(&self) -> &Pick {
        &self.now.active.keyset.pick
    }

    /// How catalogs are seen now.
    pub(super) fn introspection(&self) -> Introspection {
        self.now.active.introspection.pick
    }

    /// What RESET of a setting goes back to.
    fn reset(&self, spelling: Spelling) -> Setting {
        match spelling {
            Spelling::Introspection => Setting::Introspection(self.reset.introspection.pick),
            Spelling::Keyset | Spelling::Id | Spelling::Name => Setting::Keyset(self.reset.keyset.pick.clone()),
        }
    }

    /// The end of the transaction may change it.
    pub(super) fn is_open(&self) -> bool {
        self.touched
    }

    /// A statement is complete. `tag`: of its CommandComplete.
    pub(super) fn completed(&mut self, turn: &Turn, tag: &[u8]) {
        if !fits(turn, tag) {
            if self.touched || turn.sets() {
                self.lose();
            }
            return;
        }
        match turn {
            Turn::Set(setting, local) => self.set(setting, *local, true),
            Turn::Reset(spelling, local) => self.set(&self.reset(*spelling), *local, false),
            Turn::Act(Act::ResetAll) => self.reset_all(),
            Turn::Act(Act::DiscardAll) => {
                self.touched = true;
                self.now = self.reset.clone().into();
                self.commit(false);
            }
            Turn::Act(Act::Begin) => self.block = true,
            Turn::Act(Act::Commit(chain)) if tag != b"ROLLBACK" => self.commit(*chain),
            Turn::Act(Act::Commit(chain)) if self.failed || !self.touched => self.abort(*chain),
            Turn::Act(Act::Commit(chain)) => {
                // Nothing failed: no server that is right rolls back.
                self.lose();
                self.commit(*chain);
            }
            Turn::Act(Act::Rollback(chain)) => self.abort(*chain),
            Turn::Act(Act::Savepoint(name)) => self.saves.push((name.clone(), self.now.clone())),
            Turn::Act(Act::Release(name)) => {
                if let Some(at) = self.saved(name) {
                    self.saves.truncate(at);
                }
            }
            Turn::Act(Act::RollbackTo(name)) => self.roll_back_to(name),
            // Outside a block, the transaction so far may have been ended either way.
            Turn::Act(Act::Call) if self.touched && !self.block => self.lose(),
            Turn::Act(
                Act::Call
                | Act::Declare(_)
                | Act::Close(_)
                | Act::Prepare(..)
                | Act::Deallocate(_)
                | Act::Execute(_)
                | Act::Other,
            ) => {}
        }
    }

    /// The server reported an error, or one was sent in its place.
    pub(super) fn failed(&mut self) {
        self.failed = true;
    }

    /// ReadyForQuery came.
    pub(super) fn ready(&mut self, status: TransactionStatus) {
        match status {
            TransactionStatus::Idle if self.failed => self.abort(false),
            TransactionStatus::Idle => {
                if self.block && self.touched {
                    self.lose();
                }
                self.commit(false);
            }
            TransactionStatus::InTransaction => {
                if !self.block && self.touched {
                    self.lose();
                }
                (self.block, self.failed) = (true, false);
            }
            TransactionStatus::Failed => (self.block, self.failed) = (true, true),
        }
    }

    fn set(&mut self, setting: &Setting, local: bool, by_set: bool) {
        self.touched = true;
        self.now.active.put(setting.clone(), by_set);
        if !local {
            self.now.lasting.put(setting.clone(), by_set);
        }
    }

    /// PostgreSQL passes over settings that are at their default now, whatever lies below a SET LOCAL.
    fn reset_all(&mut self) {
        let Chosen { keyset, introspection } = &self.now.active;
        let (keyset, introspection) = (keyset.by_set, introspection.by_set);
        if keyset {
            self.set(&self.reset(Spelling::Keyset), false, false);
        }
        if introspection {
            self.set(&self.reset(Spelling::Introspection), false, false);
        }
    }

    /// Of the keyset; how catalogs are seen decides nothing that matters.
    fn lose(&mut self) {
        self.set(&Setting::Keyset(Pick::Lost), false, true);
    }

    fn commit(&mut self, chain: bool) {
        if self.touched {
            self.before = self.now.lasting.clone();
            self.now.active = self.before.clone();
        }
        self.end(chain);
    }

    fn abort(&mut self, chain: bool) {
        if self.touched {
            self.now = self.before.clone().into();
        }
        self.end(chain);
    }

    fn end(&mut self, chain: bool) {
        self.saves.clear();
        (self.block, self.failed, self.touched) = (chain, false, false);
    }

    fn saved(&self, name: &str) -> Option<usize> {
        self.saves.iter().rposition(|(saved, _)| **saved == *name)
    }

    fn roll_back_to(&mut self, name: &str) {
        self.failed = false;
        match self.saved(name) {
            Some(at) => {
                self.now = self.saves[at].1.clone();
                self.saves.truncate(at + 1);
            }
            // Of a savepoint that was not seen: nobody knows what held there.
            None if self.touched => self.lose(),
            None => {}
        }
    }
}

/// The tag is one that the statement can be answered with.
fn fits(turn: &Turn, tag: &[u8]) -> bool {
    let allowed: &[&[u8]] = match turn {
        Turn::Set(..) => &[b"SET"],
        Turn::Reset(..) => &[b"SET", b"RESET"],
        Turn::Act(Act::ResetAll) => &[b"RESET"],
        Turn::Act(Act::DiscardAll) => &[b"DISCARD ALL"],
        Turn::Act(Act::Begin) => &[b"BEGIN", b"START TRANSACTION"],
        Turn::Act(Act::Commit(_)) => &[b"COMMIT", b"PREPARE TRANSACTION", b"ROLLBACK"],
        Turn::Act(Act::Rollback(_) | Act::RollbackTo(_)) => &[b"ROLLBACK"],
        Turn::Act(Act::Savepoint(_)) => &[b"SAVEPOINT"],
        Turn::Act(Act::Release(_)) => &[b"RELEASE"],
        Turn::Act(Act::Call) => &[b"CALL", b"DO"],
        Turn::Act(
            Act::Declare(_) | Act::Close(_) | Act::Prepare(..) | Act::Deallocate(_) | Act::Execute(_) | Act::Other,
        ) => return true,
    };
    allowed.contains(&tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(n: u8) -> Pick {
        Pick::Keyset { id: KeysetId([n; 16]), given: format!("tenant-{n}").into() }
    }

    fn act(choice: &mut Choice, act: Act, tag: &str) {
        choice.completed(&Turn::Act(act), tag.as_bytes());
    }

    fn set(choice: &mut Choice, n: u8, local: bool) {
        choice.completed(&Turn::Set(Setting::Keyset(pick(n)), local), b"SET");
    }

    fn begun() -> Choice {
        let mut choice = Choice::new(Pick::Configured, Introspection::Sealed);
        set(&mut choice, 1, false);
        choice.ready(TransactionStatus::Idle);
        act(&mut choice, Act::Begin, "BEGIN");
        choice.ready(TransactionStatus::InTransaction);
        choice
    }

    #[test]
    fn a_savepoint_gives_back_what_held_at_its_beginning() {
        let mut choice = begun();
        set(&mut choice, 2, false);
        act(&mut choice, Act::Savepoint("a".into()), "SAVEPOINT");
        set(&mut choice, 3, true);
        act(&mut choice, Act::Savepoint("a".into()), "SAVEPOINT");
        set(&mut choice, 4, false);
        act(&mut choice, Act::Release("a".into()), "RELEASE");
        assert_eq!(*choice.active(), pick(4));
        act(&mut choice, Act::RollbackTo("a".into()), "ROLLBACK");
        assert_eq!(*choice.active(), pick(2));
        set(&mut choice, 5, true);
        act(&mut choice, Act::Commit(false), "COMMIT");
        assert_eq!(*choice.active(), pick(2), "LOCAL ends with the transaction");
    }

    #[test]
    fn a_failure_takes_back_what_the_transaction_set() {
        let mut choice = begun();
        set(&mut choice, 2, false);
        choice.failed();
        choice.ready(TransactionStatus::Failed);
        act(&mut choice, Act::Commit(false), "ROLLBACK");
        assert_eq!(*choice.active(), pick(1));
    }

    #[test]
    fn a_server_that_says_what_cannot_be_loses_the_choice() {
        let lies: [fn(&mut Choice); 6] = [
            |c| act(c, Act::Commit(false), "ROLLBACK"),
            |c| act(c, Act::RollbackTo("never".into()), "ROLLBACK"),
            |c| c.ready(TransactionStatus::Idle),
            |c| act(c, Act::Savepoint("a".into()), "ROLLBACK"),
            |c| act(c, Act::ResetAll, "DISCARD ALL"),
            |c| c.completed(&Turn::Set(Setting::Keyset(pick(3)), false), b"SELECT 1"),
        ];
        for (n, lie) in lies.into_iter().enumerate() {
            let mut choice = begun();
            set(&mut choice, 2, true);
            lie(&mut choice);
            assert_eq!(*choice.active(), Pick::Lost, "lie {n}");
            act(&mut choice, Act::Rollback(false), "ROLLBACK");
            choice.ready(TransactionStatus::Idle);
            set(&mut choice, 2, false);
            assert_eq!(*choice.active(), pick(2), "chosen again after lie {n}");
        }
    }

    #[test]
    fn one_setting_does_not_move_the_other() {
        let mut choice = begun();
        let seen = |choice: &mut Choice, mode| {
            choice.completed(&Turn::Set(Setting::Introspection(mode), true), b"SET");
        };
        seen(&mut choice, Introspection::Plain);
        set(&mut choice, 2, false);
        assert_eq!((choice.active().clone(), choice.introspection()), (pick(2), Introspection::Plain));
        act(&mut choice, Act::Commit(false), "COMMIT");
        assert_eq!((choice.active().clone(), choice.introspection()), (pick(2), Introspection::Sealed));
        seen(&mut choice, Introspection::Plain);
        choice.completed(&Turn::Reset(Spelling::Keyset, false), b"RESET");
        assert_eq!((choice.active().clone(), choice.introspection()), (Pick::Configured, Introspection::Plain));
        act(&mut choice, Act::ResetAll, "RESET");
        assert_eq!(choice.introspection(), Introspection::Sealed);
    }

    #[test]
    fn discarding_all_needs_no_end_of_transaction() {
        let mut choice = Choice::new(pick(9), Introspection::Sealed);
        set(&mut choice, 1, false);
        choice.ready(TransactionStatus::Idle);
        act(&mut choice, Act::DiscardAll, "DISCARD ALL");
        choice.failed();
        choice.ready(TransactionStatus::Idle);
        assert_eq!(*choice.active(), pick(9));
    }

    #[test]
    fn what_a_call_did_to_an_open_choice_is_not_known() {
        let mut choice = Choice::new(Pick::Configured, Introspection::Sealed);
        set(&mut choice, 1, false);
        act(&mut choice, Act::Call, "CALL");
        assert_eq!(*choice.active(), Pick::Lost);
    }
}
