//! Walking the chains: what was altered, taken out, moved or cut off, and where. Whoever walks them need not trust who
//! keeps them: all that is believed is the service's public key, and heads that were kept elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;

use crate::crypto::sign::VerifyKey;
use crate::keys::admin::AuditChain;
use crate::keys::audit::{AuditHead, ReplicaId, SignedHead};
use crate::keys::error::KeysError;
use crate::keys::request::ServiceId;

use super::{AuditRow, CHAIN_OPENED, FORMAT_V1};

/// How far an entry is looked for that was moved.
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
    /// The service did not sign this head, which was said to be seen elsewhere.
    Forged,
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
            Flaw::Forged => "has a head elsewhere that the service did not sign",
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

/// The audit trail, as its keeper shows it while it grows.
pub trait Trail {
    /// Every chain, as it is now.
    fn chains(&self) -> Result<Vec<AuditChain>, KeysError>;
    /// Entries of one chain after `after`, in order; none: there are no more.
    fn page(&self, replica: ReplicaId, after: u64) -> Result<Vec<AuditRow>, KeysError>;
}

/// What a walk found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Entries there are.
    pub entries: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Hashes that were seen, by chain and place.
type Seen = BTreeMap<ReplicaId, BTreeMap<u64, BTreeSet<[u8; 32]>>>;

/// Walks every chain of the service. `elsewhere`: heads that others kept.
pub fn verify(
    trail: &dyn Trail,
    (service, key): (ServiceId, &VerifyKey),
    elsewhere: &[SignedHead],
) -> Result<Report, KeysError> {
    let (mut entries, mut findings) = (0, Vec::new());
    let (mut seen, main) = (Seen::new(), ReplicaId(service.0));
    for signed in elsewhere {
        match signed.holds(service, key) {
            true => note(&mut seen, &signed.head),
            false => findings.push(Finding {
                replica: signed.head.replica,
                sequence: signed.head.sequence,
                flaw: Flaw::Forged,
            }),
        }
    }
    let chains = trail.chains()?;
    let chain = |flaw| move |replica: &ReplicaId| Finding { replica: *replica, sequence: 0, flaw };
    let mut opened = BTreeSet::from([main]);
    for AuditChain { replica, head, signed } in &chains {
        match signed {
            Some(signed) if signed.head.replica == *replica && signed.holds(service, key) => {
                note(&mut seen, &signed.head);
            }
            Some(_) => findings.push(chain(Flaw::Signature)(replica)),
            None => {}
        }
        let Some(head) = head else {
            findings.push(chain(Flaw::ChainUnknown)(replica));
            continue;
        };
        let end = AuditHead { replica: *replica, ..*head };
        note(&mut seen, &end);
        let walk = Walk::of(end, seen.remove(replica).unwrap_or_default(), &mut findings);
        entries += walk.run(trail, (*replica == main).then_some(&mut opened))?;
    }
    let known = chains.iter().filter(|chain| chain.head.is_some()).map(|chain| chain.replica).collect::<BTreeSet<_>>();
    let missed = opened.union(&seen.into_keys().collect()).copied().collect::<BTreeSet<_>>();
    findings.extend(missed.difference(&known).map(chain(Flaw::ChainMissing)));
    findings.extend(known.difference(&opened).map(chain(Flaw::ChainUnknown)));
    findings.dedup();
    Ok(Report { entries, findings })
}

fn note(seen: &mut Seen, head: &AuditHead) {
    seen.entry(head.replica).or_default().entry(head.sequence).or_default().insert(head.hash);
}

/// One chain's walk.
struct Walk<'a> {
    end: AuditHead,
    /// Heads that must be on the chain, its end among them.
    seen: BTreeMap<u64, BTreeSet<[u8; 32]>>,
    last: AuditHead,
    /// Entries hashed the old way end where the new way begins.
    newer: bool,
    found: usize,
    findings: &'a mut Vec<Finding>,
}

impl<'a> Walk<'a> {
    fn of(end: AuditHead, seen: BTreeMap<u64, BTreeSet<[u8; 32]>>, findings: &'a mut Vec<Finding>) -> Self {
        let last = AuditHead { replica: end.replica, sequence: 0, hash: [0; 32] };
        Self { end, seen, last, newer: false, found: 0, findings }
    }

    /// The number of entries. `opened` takes the chains that this one tells of.
    fn run(mut self, trail: &dyn Trail, mut opened: Option<&mut BTreeSet<ReplicaId>>) -> Result<u64, KeysError> {
        let mut entries = 0;
        self.compare();
        loop {
            let page = trail.page(self.end.replica, self.last.sequence)?;
            // Whatever was asked for, a walk goes on only.
            if page.first().is_none_or(|row| row.sequence <= self.last.sequence) {
                break;
            }
            for place in 0..page.len() {
                self.step(&page, place);
                if let Some(opened) = &mut opened
                    && page[place].entry.action == CHAIN_OPENED
                {
                    opened.extend(page[place].entry.detail.parse::<ReplicaId>());
                }
            }
            entries += page.len() as u64;
        }
        let last = self.last.sequence;
        if self.seen.range((Bound::Excluded(last), Bound::Unbounded)).next().is_some() {
            self.find(last, Flaw::Truncated);
        } else if let Some(end) = self.end_now(trail)?.filter(|end| *end < last) {
            self.find(end, Flaw::HeadElsewhere);
        }
        Ok(entries)
    }

    /// Where the chain ends by now: it may have grown since the walk began.
    fn end_now(&self, trail: &dyn Trail) -> Result<Option<u64>, KeysError> {
        if self.last.sequence == self.end.sequence {
            return Ok(None);
        }
        let now = trail.chains()?.into_iter().find(|chain| chain.replica == self.end.replica);
        Ok(now.and_then(|chain| chain.head).map(|head| head.sequence))
    }

    fn step(&mut self, page: &[AuditRow], place: usize) {
        let row = &page[place];
        let downgraded = self.newer && row.format == FORMAT_V1;
        if row.sequence.checked_sub(1) != Some(self.last.sequence) {
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
        self.compare();
    }

    /// Compares the place where the walk is with what was seen there.
    fn compare(&mut self) {
        let AuditHead { sequence, hash, .. } = self.last;
        if self.seen.get(&sequence).is_some_and(|seen| seen.iter().any(|seen| *seen != hash)) {
            self.find(sequence, Flaw::HeadElsewhere);
        }
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
    let places = first..=first.saturating_add(2 * NEAR as u64 + 2);
    places
        .filter(|sequence| *sequence != row.sequence)
        .any(|sequence| befores.iter().any(|before| row.at(sequence, before) == row.hash))
}
