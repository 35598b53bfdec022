//! Walking the chains: what was altered, taken out, moved or cut off, and where.

use std::collections::BTreeSet;
use std::fmt;

use crate::crypto::sign::VerifyKey;
use crate::keys::audit::{AuditHead, ReplicaId};
use crate::keys::error::KeysError;
use crate::keys::request::ServiceId;

use super::super::super::{Tx, Value};
use super::{AuditRow, CHAIN_OPENED, ChainRow, FORMAT_V1, all, chain, chains, main, page};

/// Entries read at a time; also how far an entry is looked for that was moved.
const PAGE: u32 = 1000;
const NEAR: usize = 16;
/// What else is wrong with a chain is not looked for.
const MOST: usize = 20;

/// Something wrong with a chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The chain.
    pub replica: ReplicaId,
    /// The entry; 0 where it concerns the chain.
    pub sequence: u64,
    /// What is wrong.
    pub flaw: Flaw,
}

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flaw {
    /// The entry is not what was written.
    Edited,
    /// Entries up to this one, exclusive, are missing.
    Gap,
    /// The entry stood elsewhere.
    Moved,
    /// The chain went on after this entry.
    Truncated,
    /// The chain was opened and is gone.
    ChainMissing,
    /// There are entries of a chain that was never opened.
    ChainUnknown,
    /// A head that was seen is not on the chain: the chain was written anew.
    HeadElsewhere,
    /// The service did not sign this head.
    Signature,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flaw::Edited => "was edited",
            Flaw::Gap => "does not follow: entries before it were removed",
            Flaw::Moved => "was moved from another place",
            Flaw::Truncated => "was not the last: entries after it were removed",
            Flaw::ChainMissing => "the whole chain is missing",
            Flaw::ChainUnknown => "the chain was never opened",
            Flaw::HeadElsewhere => "is not the one that was seen at this place: the chain was rewritten",
            Flaw::Signature => "its signed head is not signed by the service",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sequence {
            0 => write!(f, "audit chain {}: {}", self.replica, self.flaw),
            sequence => write!(f, "audit chain {}: entry {sequence} {}", self.replica, self.flaw),
        }
    }
}

/// Walks every chain. The number of entries, and what is wrong.
pub fn verify(tx: &dyn Tx, service: ServiceId, key: &VerifyKey) -> Result<(u64, Vec<Finding>), KeysError> {
    let (mut entries, mut findings) = (0, Vec::new());
    let chains = chains(tx)?;
    for chain in &chains {
        entries += Walk::of(chain, &mut findings).run(tx)?;
        if let Some(signed) = &chain.signed {
            if signed.holds(service, key) {
                findings.extend(follow(tx, &signed.head)?);
            } else {
                findings.push(Finding { replica: signed.head.replica, sequence: 0, flaw: Flaw::Signature });
            }
        }
    }
    let known = chains.iter().map(|chain| chain.head.replica).collect::<BTreeSet<_>>();
    let mut opened = opened(tx)?;
    opened.insert(main(tx)?);
    let of = |flaw| move |replica: &ReplicaId| Finding { replica: *replica, sequence: 0, flaw };
    findings.extend(opened.difference(&known).map(of(Flaw::ChainMissing)));
    findings.extend(known.difference(&opened).map(of(Flaw::ChainUnknown)));
    findings.extend(strays(tx)?.difference(&known).map(of(Flaw::ChainUnknown)));
    findings.dedup();
    Ok((entries, findings))
}

/// Checks a head that was seen, signed or logged by a proxy, against the chain.
pub fn follow(tx: &dyn Tx, seen: &AuditHead) -> Result<Option<Finding>, KeysError> {
    let found = |sequence, flaw| Ok(Some(Finding { replica: seen.replica, sequence, flaw }));
    let Some(ChainRow { head, .. }) = chain(tx, seen.replica)? else { return found(0, Flaw::ChainMissing) };
    let holds = |hash: &[u8; 32]| *hash == seen.hash;
    match seen.sequence {
        0 => {
            if holds(&[0; 32]) {
                Ok(None)
            } else {
                found(0, Flaw::HeadElsewhere)
            }
        }
        sequence => match page(tx, seen.replica, sequence - 1, 1)?.pop() {
            Some(row) if row.sequence == sequence && holds(&row.hash) => Ok(None),
            Some(row) if row.sequence == sequence => found(sequence, Flaw::HeadElsewhere),
            Some(row) => found(row.sequence, Flaw::Gap),
            None => found(head.sequence.min(sequence - 1), Flaw::Truncated),
        },
    }
}

/// Chains that the chain of changes tells of.
fn opened(tx: &dyn Tx) -> Result<BTreeSet<ReplicaId>, KeysError> {
    let main = main(tx)?;
    let sql = "SELECT detail FROM audit_entries WHERE replica = $1 AND action = $2";
    let told = all(tx, "audit_entries", sql, &[Value::Bytes(&main.0), Value::Text(CHAIN_OPENED)], |row| row.text())?;
    Ok(told.iter().filter_map(|detail| detail.parse().ok()).collect())
}

/// Chains that have entries.
fn strays(tx: &dyn Tx) -> Result<BTreeSet<ReplicaId>, KeysError> {
    let sql = "SELECT DISTINCT replica FROM audit_entries";
    Ok(all(tx, "audit_entries", sql, &[], |row| Ok(ReplicaId(row.fixed()?)))?.into_iter().collect())
}

/// One chain's walk.
struct Walk<'a> {
    end: AuditHead,
    last: AuditHead,
    /// Entries hashed the old way end where the new way begins.
    newer: bool,
    found: usize,
    findings: &'a mut Vec<Finding>,
}

impl<'a> Walk<'a> {
    fn of(chain: &ChainRow, findings: &'a mut Vec<Finding>) -> Self {
        let last = AuditHead { replica: chain.head.replica, sequence: 0, hash: [0; 32] };
        Self { end: chain.head, last, newer: false, found: 0, findings }
    }

    fn run(mut self, tx: &dyn Tx) -> Result<u64, KeysError> {
        let mut entries = 0;
        loop {
            let page = page(tx, self.end.replica, self.last.sequence, PAGE)?;
            for place in 0..page.len() {
                self.step(&page, place);
            }
            entries += page.len() as u64;
            if page.len() < PAGE as usize {
                break;
            }
        }
        let (last, end) = (self.last, self.end);
        if last.sequence < end.sequence {
            self.find(last.sequence, Flaw::Truncated);
        } else if last != end {
            self.find(end.sequence, Flaw::HeadElsewhere);
        }
        Ok(entries)
    }

    fn step(&mut self, page: &[AuditRow], place: usize) {
        let row = &page[place];
        let downgraded = self.newer && row.format == FORMAT_V1;
        if row.sequence != self.last.sequence + 1 {
            self.find(row.sequence, Flaw::Gap);
            if !downgraded && moved(page, place) {
                self.find(row.sequence, Flaw::Moved);
            }
        } else if downgraded || row.follows(&self.last.hash) != row.hash {
            let flaw = if moved(page, place) { Flaw::Moved } else { Flaw::Edited };
            self.find(row.sequence, flaw);
        }
        self.newer |= row.format != FORMAT_V1;
        (self.last.sequence, self.last.hash) = (row.sequence, row.hash);
    }

    fn find(&mut self, sequence: u64, flaw: Flaw) {
        self.found += 1;
        if self.found <= MOST {
            self.findings.push(Finding { replica: self.end.replica, sequence, flaw });
        }
    }
}

/// Whether the entry fits a place nearby: another number, behind another entry.
fn moved(page: &[AuditRow], place: usize) -> bool {
    let row = &page[place];
    let near = &page[place.saturating_sub(NEAR)..(place + NEAR).min(page.len())];
    let first = near.first().map_or(1, |row| row.sequence.saturating_sub(1).max(1));
    let befores = near.iter().map(|row| row.hash).chain([[0; 32]]).collect::<Vec<_>>();
    let places = first..=first + 2 * NEAR as u64 + 2;
    places
        .filter(|sequence| *sequence != row.sequence)
        .any(|sequence| befores.iter().any(|before| row.at(sequence, before) == row.hash))
}
