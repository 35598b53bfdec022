//! The audit trail. It is checked here, where the admin's key is, and not by who keeps it.

use std::collections::VecDeque;

use crate::keys::admin::{AuditChain, AuditEntry, GetAudit, GetAuditChains, GetAuditPage, MAX_AUDIT_PAGE};
use crate::keys::audit::{ReplicaId, SignedHead};
use crate::keys::clock::rfc3339;
use crate::keys::error::KeysError;

use super::super::store::tables::audit::{AuditRow, Report, Trail, verify};
use super::{AuditInfo, Workspace};

impl Workspace {
    /// The last `limit` lines of the audit trail, oldest first.
    pub fn audit_tail(&self, limit: u32) -> Result<Vec<AuditInfo>, KeysError> {
        Ok(self.ask(&GetAudit { limit })?.into_iter().map(info).collect())
    }

    /// Every line of the audit trail as it stands now, by time, read as it is asked for.
    pub fn audit_export(&self) -> Result<AuditExport<'_>, KeysError> {
        let lane = |chain: AuditChain| {
            // Of a chain that was never opened nobody knows where it ends.
            let end = chain.head.map_or(u64::MAX, |head| head.sequence);
            Lane { replica: chain.replica, end, read: 0, latest: 0, waiting: VecDeque::new() }
        };
        Ok(AuditExport { workspace: self, lanes: self.ask(&GetAuditChains {})?.into_iter().map(lane).collect() })
    }

    /// Walks the whole audit trail; the number of entries, or where it breaks.
    pub fn audit_verify(&self) -> Result<u64, KeysError> {
        let Report { entries, findings } = self.audit_check(&[])?;
        let told = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        if findings.is_empty() { Ok(entries) } else { Err(KeysError::tampered(told)) }
    }

    /// Walks the whole audit trail, and compares it with heads that were kept elsewhere, such as in logs of proxies.
    pub fn audit_check(&self, elsewhere: &[SignedHead]) -> Result<Report, KeysError> {
        let service = self.view()?.service;
        verify(self, (service.id, &service.verify), elsewhere)
    }

    fn page(&self, replica: ReplicaId, after: u64) -> Result<Vec<AuditEntry>, KeysError> {
        let mut page = self.ask(&GetAuditPage { replica, after, limit: MAX_AUDIT_PAGE })?;
        page.retain(|entry| entry.replica == replica && entry.sequence > after);
        Ok(page)
    }
}

impl Trail for Workspace {
    fn chains(&self) -> Result<Vec<AuditChain>, KeysError> {
        self.ask(&GetAuditChains {})
    }

    fn page(&self, replica: ReplicaId, after: u64) -> Result<Vec<AuditRow>, KeysError> {
        Ok(Workspace::page(self, replica, after)?.into_iter().map(Into::into).collect())
    }
}

/// The audit trail, line by line: a page of each chain is held at most.
pub struct AuditExport<'a> {
    workspace: &'a Workspace,
    lanes: Vec<Lane>,
}

/// What is left of one chain.
struct Lane {
    replica: ReplicaId,
    end: u64,
    read: u64,
    /// The chain's own order holds where a clock went back.
    latest: u64,
    waiting: VecDeque<AuditEntry>,
}

impl Lane {
    fn fill(&mut self, workspace: &Workspace) -> Result<(), KeysError> {
        if !self.waiting.is_empty() || self.read >= self.end {
            return Ok(());
        }
        let mut page = workspace.page(self.replica, self.read)?;
        page.retain(|entry| entry.sequence <= self.end);
        self.read = page.last().map_or(self.end, |entry| entry.sequence);
        self.waiting = page.into();
        Ok(())
    }

    fn next_time(&self) -> Option<u64> {
        Some(self.waiting.front()?.time_ms.max(self.latest))
    }
}

impl AuditExport<'_> {
    fn take(&mut self) -> Result<Option<AuditInfo>, KeysError> {
        for lane in &mut self.lanes {
            lane.fill(self.workspace)?;
        }
        let first = self.lanes.iter_mut().filter(|lane| !lane.waiting.is_empty()).min_by_key(|lane| lane.next_time());
        let Some(lane) = first else { return Ok(None) };
        lane.latest = lane.next_time().unwrap_or_default();
        Ok(lane.waiting.pop_front().map(info))
    }
}

impl Iterator for AuditExport<'_> {
    type Item = Result<AuditInfo, KeysError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.take().transpose()
    }
}

fn info(row: AuditEntry) -> AuditInfo {
    AuditInfo {
        chain: row.replica.to_string(),
        sequence: row.sequence,
        time: rfc3339(row.time_ms),
        client: row.client.to_string(),
        action: row.action,
        detail: row.detail,
        result: row.result,
        address: row.address,
        version: row.version,
        hash: hex::encode(row.hash),
    }
}
