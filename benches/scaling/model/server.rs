//! Replicas of the key server, and the store: what a request passes on its way to an answer.

use std::collections::VecDeque;

use columnseal::keyserver::engine::{SEEN_MOST, SEEN_MS, WATCH};
use columnseal::keyserver::store::postgres::CONNECTIONS;

use super::super::figures::{self, Work};
use super::proxy::Slot;
use super::resources::{Cores, Places};
use super::world::{Event, World};
use super::{Kind, Setting, nanos};

/// Threads that may block, of a tokio runtime as the program makes it.
const THREADS: usize = 512;
/// Entries of one transaction of the trail.
const TOGETHER: u64 = 512;

pub struct Server {
    pub alive: bool,
    /// Grows when it ends: what was under way is gone.
    pub life: u32,
    pub cores: Cores,
    pub threads: Places,
    pub pool: Places,
    /// One change at a time.
    pub changing: Places,
    pub connections: Places,
    /// Those who wait for the trail to be written, and those whose records are written now.
    trail: VecDeque<u32>,
    writing: Vec<u32>,
    /// What it knows of the store.
    version: u64,
    revision: u64,
    polling: bool,
    poked: bool,
    /// Clients that wait to be noted as seen, and those that are noted now.
    waiting: Vec<u32>,
    noting: Vec<u32>,
}

pub struct Store {
    pub cores: Cores,
    /// The row that changes take turns by.
    pub turns: Places,
    pub version: u64,
    pub revision: u64,
    /// By client.
    pub changed: Vec<u64>,
    pub seen: Vec<u64>,
    pub away: bool,
    pub trip: u64,
    pub commit: u64,
}

/// Something that a replica does.
pub struct Job {
    pub kind: Kind,
    pub server: usize,
    pub life: u32,
    pub proxy: u32,
    /// Whose answer it is, and which.
    pub slot: Slot,
    pub serial: u32,
    /// Keys, records or keysets.
    pub amount: u32,
    /// It comes on a connection that is made for it.
    pub connects: bool,
    pub step: Step,
}

/// What a job does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    Connection,
    Connected,
    Work,
    Thread,
    Lend,
    Read,
    ReadDone,
    Trail,
    WriteLend,
    Write,
    WriteDone,
    Changing,
    NoteLend,
    Turn,
    Note,
    NoteDone,
}

impl Server {
    pub fn new(cores: usize, connections: usize) -> Self {
        Self {
            alive: true,
            life: 0,
            cores: Cores::new(cores),
            threads: Places::new(THREADS),
            pool: Places::new(CONNECTIONS),
            changing: Places::new(1),
            connections: Places::new(connections),
            trail: VecDeque::new(),
            writing: Vec::new(),
            version: 0,
            revision: 0,
            polling: false,
            poked: false,
            waiting: Vec::new(),
            noting: Vec::new(),
        }
    }

    /// What was under way is gone.
    pub fn ends(&mut self, setting: &Setting) {
        let life = self.life + 1;
        *self = Self { alive: false, life, ..Self::new(setting.cores, setting.max_connections) };
    }
}

impl Store {
    pub fn new(cores: usize, clients: usize, trip: u64, commit: u64) -> Self {
        Self {
            cores: Cores::new(cores),
            turns: Places::new(1),
            version: 1,
            revision: 1,
            changed: vec![0; clients],
            seen: vec![0; clients],
            away: false,
            trip,
            commit,
        }
    }

    /// Changes something that concerns these clients.
    pub fn change(&mut self, clients: impl Iterator<Item = u32>) {
        self.revision += 1;
        self.version += 1;
        for client in clients {
            self.changed[client as usize] = self.revision;
        }
    }
}

/// What a request costs before it is written down.
fn cost(job: &Job) -> Work {
    let amount = u64::from(job.amount);
    let own = match job.kind {
        Kind::Service => figures::SERVICE,
        Kind::State => figures::STATE.plus(figures::STATE_KEYSET, amount),
        Kind::Pins => figures::PINS,
        Kind::Renew => figures::RENEW,
        Kind::Grants => figures::GRANTS,
        Kind::Fill => figures::FILL.plus(figures::KEY_PROVED, amount),
        Kind::Terms => figures::TERMS,
        Kind::Fetch => figures::FETCH.plus(figures::KEY, amount),
        Kind::Records => figures::RECORDS.plus(figures::RECORD, amount),
        Kind::Open => figures::OPEN,
        Kind::Beat => figures::BEAT,
        Kind::Look => figures::LOOK,
        Kind::Note => figures::NOTE_READ.plus(figures::NOTE_READ_EACH, amount),
        Kind::Poll => figures::POLL,
    };
    if job.connects { Work { server: own.server + figures::CONNECTION.server, ..own } } else { own }
}

/// Keys and records are written down before they are given.
fn written_down(kind: Kind) -> bool {
    matches!(kind, Kind::Fill | Kind::Terms | Kind::Fetch | Kind::Records)
}

/// Entries of the trail.
fn entries(job: &Job) -> u64 {
    if job.kind == Kind::Records { job.amount.into() } else { 1 }
}

/// Statements that write so many entries: as many rows to each as fit one of few sizes.
fn inserts(entries: u64) -> u64 {
    entries / 32 + entries % 32 / 6 + entries % 32 % 6
}

impl World {
    /// Takes a job as far as it goes now.
    pub fn go(&mut self, id: u32) {
        loop {
            let job = &self.jobs[id as usize];
            let (server, kind) = (job.server, job.kind);
            if self.servers[server].life != job.life {
                self.lets_go(id);
                return;
            }
            let went = match job.step {
                Step::Connection => {
                    self.takes(id, Step::Connected, |world, now, id| world.servers[server].connections.take(now, id))
                }
                Step::Connected => {
                    let (proxy, slot, serial) = (job.proxy, job.slot, job.serial);
                    let wanted = self.connected(proxy, slot, serial);
                    self.jobs[id as usize].step = Step::Work;
                    if !wanted {
                        self.forget(id);
                        self.closes(server);
                    }
                    wanted
                }
                Step::Work => {
                    let done = self.works(id, cost(&self.jobs[id as usize]).server);
                    self.later(id, Step::Thread, done);
                    false
                }
                Step::Thread => {
                    self.takes(id, Step::Lend, |world, now, id| world.servers[server].threads.take(now, id))
                }
                Step::Lend => self.takes(id, Step::Read, |world, now, id| world.servers[server].pool.take(now, id)),
                Step::Read => {
                    let Work { store, trips, .. } = cost(&self.jobs[id as usize]);
                    self.asks_store(id, Step::ReadDone, store, trips, false);
                    false
                }
                Step::ReadDone => self.has_read(id, kind),
                Step::Trail => self.waits_for_trail(id),
                Step::WriteLend => {
                    self.takes(id, Step::Write, |world, now, id| world.servers[server].pool.take(now, id))
                }
                Step::Write => {
                    let trips = figures::APPEND.trips
                        + inserts(
                            self.servers[server]
                                .writing
                                .iter()
                                .map(|written| entries(&self.jobs[*written as usize]))
                                .sum(),
                        );
                    self.asks_store(id, Step::WriteDone, 0, trips, true);
                    false
                }
                Step::WriteDone => {
                    self.has_written(id);
                    return;
                }
                Step::Changing => {
                    self.takes(id, Step::NoteLend, |world, now, id| world.servers[server].changing.take(now, id))
                }
                Step::NoteLend => self.takes(id, Step::Turn, |world, now, id| world.servers[server].pool.take(now, id)),
                Step::Turn => self.takes(id, Step::Note, |world, now, id| world.store.turns.take(now, id)),
                Step::Note => {
                    let noted = self.servers[server].noting.len() as u64;
                    let Work { server, store, trips } = figures::NOTE_WRITE.plus(figures::NOTE_WRITE_EACH, noted);
                    self.works(id, server);
                    self.asks_store(id, Step::NoteDone, store, trips, true);
                    false
                }
                Step::NoteDone => {
                    self.has_noted(id);
                    return;
                }
            };
            if !went {
                return;
            }
        }
    }

    /// A replica that is gone no longer holds the row of turns.
    fn lets_go(&mut self, id: u32) {
        let held = matches!(self.jobs[id as usize].step, Step::Note | Step::NoteDone);
        self.forget(id);
        if held && let Some(next) = self.store.turns.give(self.now) {
            self.go(next);
        }
    }

    /// Takes a place, or waits for it; whether to go on now.
    fn takes(&mut self, id: u32, next: Step, take: impl Fn(&mut Self, u64, u32) -> bool) -> bool {
        let now = self.now;
        self.jobs[id as usize].step = next;
        take(self, now, id)
    }

    fn later(&mut self, id: u32, next: Step, at: u64) {
        self.jobs[id as usize].step = next;
        self.at(at, Event::Job(id));
    }

    fn works(&mut self, id: u32, length: u64) -> u64 {
        let (kind, server) = (self.jobs[id as usize].kind, self.jobs[id as usize].server);
        self.outcome.count(kind).server += length;
        self.servers[server].cores.work(self.now, length)
    }

    fn asks_store(&mut self, id: u32, next: Step, work: u64, trips: u64, commits: bool) {
        let kind = self.jobs[id as usize].kind;
        self.outcome.count(kind).store += work;
        let worked = self.store.cores.work(self.now, work);
        let commit = if commits { self.store.commit } else { 0 };
        self.later(id, next, worked + trips * self.store.trip + commit);
    }

    fn gives_pool(&mut self, server: usize) {
        if let Some(next) = self.servers[server].pool.give(self.now) {
            self.go(next);
        }
    }

    fn gives_thread(&mut self, server: usize) {
        if let Some(next) = self.servers[server].threads.give(self.now) {
            self.go(next);
        }
    }

    /// The store has answered what was read; whether to go on now.
    fn has_read(&mut self, id: u32, kind: Kind) -> bool {
        let server = self.jobs[id as usize].server;
        self.gives_pool(server);
        if self.store.away {
            self.ends(id, false);
            return false;
        }
        match kind {
            Kind::Poll => {
                self.gives_thread(server);
                self.has_polled(id);
                false
            }
            Kind::Note => {
                let (now, seen) = (self.now, &self.store.seen);
                let due = |client: &u32| now.saturating_sub(seen[*client as usize]) >= SEEN_MS * 1_000_000;
                self.servers[server].noting.retain(due);
                if self.servers[server].noting.is_empty() {
                    self.ends(id, true);
                    return false;
                }
                self.jobs[id as usize].step = Step::Changing;
                true
            }
            kind if written_down(kind) => {
                self.jobs[id as usize].step = Step::Trail;
                true
            }
            _ => {
                self.ends(id, true);
                false
            }
        }
    }

    /// Who comes while others write joins the next transaction.
    fn waits_for_trail(&mut self, id: u32) -> bool {
        let server = &mut self.servers[self.jobs[id as usize].server];
        server.trail.push_back(id);
        if !server.writing.is_empty() {
            return false;
        }
        self.next_of_trail(self.jobs[id as usize].server)
    }

    fn next_of_trail(&mut self, at: usize) -> bool {
        let server = &mut self.servers[at];
        let mut sum = 0;
        while sum < TOGETHER
            && let Some(next) = server.trail.pop_front()
        {
            sum += entries(&self.jobs[next as usize]);
            server.writing.push(next);
        }
        let Some(first) = server.writing.first().copied() else { return false };
        self.jobs[first as usize].step = Step::WriteLend;
        self.go(first);
        false
    }

    fn has_written(&mut self, id: u32) {
        let at = self.jobs[id as usize].server;
        self.gives_pool(at);
        for written in std::mem::take(&mut self.servers[at].writing) {
            self.ends(written, !self.store.away);
        }
        self.next_of_trail(at);
    }

    fn has_noted(&mut self, id: u32) {
        let server = self.jobs[id as usize].server;
        self.store.version += 1;
        for client in std::mem::take(&mut self.servers[server].noting) {
            self.store.seen[client as usize] = self.now;
        }
        if let Some(next) = self.store.turns.give(self.now) {
            self.go(next);
        }
        self.gives_pool(server);
        if let Some(next) = self.servers[server].changing.give(self.now) {
            self.go(next);
        }
        self.ends(id, true);
    }

    /// The job is over: its thread is free, and who asked hears of it.
    fn ends(&mut self, id: u32, well: bool) {
        let job = &self.jobs[id as usize];
        let (kind, server, proxy, slot, serial) = (job.kind, job.server, job.proxy, job.slot, job.serial);
        self.outcome.count(kind).done += 1;
        self.gives_thread(server);
        self.forget(id);
        match kind {
            Kind::Note => self.notes_next(server),
            Kind::Poll => self.polls_again(server),
            Kind::Look => self.tells(proxy, serial),
            _ => {
                let at = self.now + self.wire();
                self.at(at, Event::Answer { proxy, slot, serial, well });
                if well && !matches!(kind, Kind::Service | Kind::Open) {
                    self.notes(server, proxy);
                }
            }
        }
    }

    /// A client whose request was answered is noted, rarely.
    fn notes(&mut self, server: usize, client: u32) {
        let noted = &mut self.noted[server][client as usize];
        if *noted > 0 && self.now - *noted < SEEN_MS * 1_000_000 {
            return;
        }
        *noted = self.now;
        self.servers[server].waiting.push(client);
        if self.servers[server].noting.is_empty() {
            self.notes_next(server);
        }
    }

    /// As `keyserver::engine::seen`: one writes at a time, and takes all that wait.
    fn notes_next(&mut self, at: usize) {
        let server = &mut self.servers[at];
        let most = server.waiting.len().min(SEEN_MOST);
        server.noting = server.waiting.drain(..most).collect();
        if most > 0 {
            let id = self.job(Kind::Note, at, self.servers[at].noting[0], 0, Step::Work);
            self.jobs[id as usize].amount = most as u32;
        }
    }

    /// The replica looks at the store now.
    pub fn poke(&mut self, server: usize) {
        if self.servers[server].polling {
            self.servers[server].poked = true;
        } else {
            self.poll(server);
        }
    }

    pub fn poll(&mut self, server: usize) {
        if !self.servers[server].polling && self.servers[server].alive {
            self.servers[server].polling = true;
            self.job(Kind::Poll, server, 0, 0, Step::Work);
        }
    }

    fn polls_again(&mut self, server: usize) {
        self.servers[server].polling = false;
        let poked = std::mem::take(&mut self.servers[server].poked);
        let pause = if poked { 0 } else { nanos(WATCH) };
        self.at(self.now + pause, Event::Poll(server as u32));
    }

    /// The version, then the revision, then where all clients stand.
    fn has_polled(&mut self, id: u32) {
        let at = self.jobs[id as usize].server;
        self.outcome.count(Kind::Poll).done += 1;
        self.forget(id);
        let (version, revision) = (self.store.version, self.store.revision);
        let server = &mut self.servers[at];
        let moved = std::mem::replace(&mut server.version, version) != version;
        if std::mem::replace(&mut server.revision, revision) == revision {
            if moved {
                self.outcome.count(Kind::Poll).server += figures::POLL.server;
                self.outcome.count(Kind::Poll).store += figures::POLL.store;
                self.servers[at].cores.work(self.now, figures::POLL.server);
                self.store.cores.work(self.now, figures::POLL.store);
            }
            self.polls_again(at);
            return;
        }
        let clients = self.proxies.len() as u64;
        let streams = self.open_at(at);
        let Work { server, store, trips } =
            figures::POLL.plus(figures::OVERVIEW, 1).plus(figures::OVERVIEW_CLIENT, clients);
        let wake = figures::WAKE.server * streams.len() as u64;
        self.outcome.count(Kind::Poll).server += server + wake;
        self.outcome.count(Kind::Poll).store += store;
        let read = self.store.cores.work(self.now, store) + trips * self.store.trip;
        let known = self.servers[at].cores.work(read, server);
        self.at(known, Event::Known { server: at as u32, revision });
        self.servers[at].cores.work_all(known, wake);
    }

    /// The replica knows where all clients stand: streams that it concerns look.
    pub fn knows(&mut self, server: usize) {
        for proxy in self.open_at(server) {
            if self.store.changed[proxy as usize] > self.proxies[proxy as usize].told {
                let serial = self.proxies[proxy as usize].stream.serial;
                self.job(Kind::Look, server, proxy, serial, Step::Thread);
            }
        }
        self.polls_again(server);
    }
}
