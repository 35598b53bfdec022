//! One proxy, as `keys::ring` and `keys::remote` have it: a lease that is renewed, an event stream, questions of which each
//! task asks one at a time.

mod stream;

use columnseal::keys::remote::{IDLE, REOPEN_FIRST, REQUEST, REST_FIRST, REST_LAST};
use columnseal::keys::ring::{RENEWALS, RETRY};
use columnseal::keys::service::MAX_KEYS;
use columnseal::keys::settings::POOL;
use columnseal::keyserver::engine::SEEN_MS;
use columnseal::keyserver::http::HEARTBEAT;
use columnseal::session::settings::Audit;

use super::demand::Fresh;
use super::server::{Job, Step};
use super::world::{Event, World};
use super::{Kind, SECOND, nanos};

/// Before the only server is asked once more, at most.
const AGAIN: u64 = 200_000_000;
/// A program that cannot start is started again after this time, by whatever looks after it.
const RESTART: u64 = 5 * SECOND;
/// Between two looks for what took too long.
const SWEEP: u64 = SECOND / 2;
/// Between two looks at what a proxy asks for.
const LOOK: u64 = 5 * SECOND;
/// Shapes of statements that one proxy sees between two records. Assumed.
const SHAPES: u32 = 16;

/// Who asks: each asks one question at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Slot {
    Warden,
    Supply,
    Fetch,
    Records,
    Stream,
}

const SLOTS: [Slot; 5] = [Slot::Warden, Slot::Supply, Slot::Fetch, Slot::Records, Slot::Stream];

pub struct Proxy {
    /// Grows with every start.
    life: u32,
    /// Which of the sizes it has.
    size: usize,
    active: bool,
    fresh: Fresh,
    /// It has begun its tasks.
    started: bool,
    lease_until: u64,
    /// The change that it knows of.
    known: u64,
    /// The change that its stream was told of.
    pub told: u64,
    reread: bool,
    renew: bool,
    /// The server that answered last.
    first: usize,
    rest_until: u64,
    rest: u64,
    questions: [Question; 5],
    /// Kept connections: until when, by server; 0: none.
    kept: Vec<u64>,
    pub stream: Stream,
    /// The next look at the demand finds something.
    due: bool,
    /// Pools, grants and term roots that wait, and ids.
    orders: Vec<Kind>,
    ids: u32,
}

pub struct Stream {
    pub open: bool,
    pub server: usize,
    pub serial: u32,
    heard: u64,
    pause: u64,
    next: usize,
}

/// What is asked, and how often it was tried.
#[derive(Clone, Copy)]
struct Question {
    asked: bool,
    kind: Kind,
    serial: u32,
    amount: u32,
    tries: usize,
    server: usize,
    /// It has a connection.
    held: bool,
    sent: u64,
    begun: u64,
}

impl Question {
    fn new(kind: Kind, serial: u32, amount: u32, server: usize, now: u64) -> Self {
        Self { asked: false, kind, serial, amount, tries: 0, server, held: false, sent: now, begun: now }
    }
}

impl Proxy {
    pub fn new(replicas: usize, size: usize, active: bool, first: usize) -> Self {
        let question = Question::new(Kind::Renew, 0, 0, first, 0);
        let pause = nanos(REOPEN_FIRST);
        Self {
            life: 0,
            size,
            active,
            fresh: Fresh::Long,
            started: true,
            lease_until: 0,
            known: 0,
            told: 0,
            reread: false,
            renew: false,
            first,
            rest_until: 0,
            rest: 0,
            questions: [question; 5],
            kept: vec![0; replicas],
            stream: Stream { open: false, server: first, serial: 0, heard: 0, pause, next: first },
            due: false,
            orders: Vec::new(),
            ids: 0,
        }
    }
}

impl World {
    fn proxy(&mut self, id: u32) -> &mut Proxy {
        &mut self.proxies[id as usize]
    }

    /// As after a long time: a lease, a stream, and a cache that is full.
    pub fn settle(&mut self, id: u32) {
        let lease = nanos(self.setting.lease);
        let served = self.now + lease - self.random.below(lease as usize / RENEWALS as usize) as u64;
        let (now, seen) = (self.now, self.now - self.random.spread(SEEN_MS * 1_000_000));
        let beat = now + self.random.spread(nanos(HEARTBEAT));
        let proxy = self.proxy(id);
        proxy.lease_until = served;
        let server = proxy.first;
        let open = self.servers[server].connections.take_now(now);
        self.noted[server][id as usize] = seen;
        self.store.seen[id as usize] = seen;
        let proxy = self.proxy(id);
        proxy.stream = Stream { open, server, serial: 1, heard: now, pause: nanos(REOPEN_FIRST), next: server };
        self.at(beat, if open { Event::Beat { proxy: id, serial: 1 } } else { Event::Open { proxy: id, serial: 1 } });
        self.begins(id);
    }

    /// The tasks of a proxy begin.
    fn begins(&mut self, id: u32) {
        let life = self.proxies[id as usize].life;
        let renew = self.now + self.random.jitter(nanos(self.setting.lease / RENEWALS));
        self.at(renew, Event::Renew { proxy: id, life });
        if self.proxies[id as usize].active {
            let records = self.now + self.random.spread(nanos(Audit::default().interval));
            self.at(records, Event::Records { proxy: id, life });
            self.demand(id, life);
        }
    }

    // The lease.

    pub fn renews(&mut self, id: u32, life: u32) {
        if self.proxies[id as usize].life != life {
            return;
        }
        let next = self.now + self.random.jitter(nanos(self.setting.lease / RENEWALS));
        self.at(next, Event::Renew { proxy: id, life });
        self.proxy(id).renew = true;
        self.warden(id);
    }

    /// A session finds the lease over.
    pub fn wants(&mut self, id: u32, life: u32) {
        let now = self.now;
        let proxy = self.proxy(id);
        if proxy.life == life && proxy.active && proxy.lease_until <= now {
            proxy.renew = true;
            self.warden(id);
        }
    }

    fn warden(&mut self, id: u32) {
        let proxy = self.proxy(id);
        if proxy.questions[Slot::Warden as usize].asked {
            return;
        }
        if std::mem::take(&mut proxy.reread) {
            let amount = self.setting.sizes[self.proxies[id as usize].size].1 as u32;
            self.ask(id, Slot::Warden, Kind::State, amount);
        } else if std::mem::take(&mut proxy.renew) {
            self.ask(id, Slot::Warden, Kind::Renew, 0);
        }
    }

    fn extends(&mut self, id: u32, sent: u64) {
        let (now, lease, disturbed) = (self.now, nanos(self.setting.lease), self.disturbed);
        let proxy = self.proxy(id);
        let without = now.saturating_sub(proxy.lease_until.max(disturbed));
        proxy.lease_until = sent + lease;
        if without > 0 && self.proxies[id as usize].started {
            self.outcome.without_lease += 1;
            self.outcome.longest_without = self.outcome.longest_without.max(without);
        }
    }

    /// Counts those that have no lease at the end.
    pub fn leases_end(&mut self) {
        for id in 0..self.proxies.len() as u32 {
            if self.proxies[id as usize].lease_until < self.now {
                self.extends(id, self.now);
            }
        }
    }

    // Questions.

    fn ask(&mut self, id: u32, slot: Slot, kind: Kind, amount: u32) {
        let now = self.now;
        let proxy = self.proxy(id);
        let first = if slot == Slot::Stream { proxy.stream.next } else { proxy.first };
        let serial = proxy.questions[slot as usize].serial + 1;
        let question = Question::new(kind, serial, amount, first, now);
        proxy.questions[slot as usize] = Question { asked: true, ..question };
        if slot != Slot::Stream && now < proxy.rest_until {
            self.fails(id, slot);
            return;
        }
        self.sends(id, slot);
    }

    fn sends(&mut self, id: u32, slot: Slot) {
        let now = self.now;
        let arrives = now + self.wire();
        let question = &mut self.proxies[id as usize].questions[slot as usize];
        question.sent = now;
        let Question { kind, serial, amount, server, .. } = *question;
        if !self.servers[server].alive {
            self.at(arrives + self.wire(), Event::Answer { proxy: id, slot, serial, well: false });
            return;
        }
        let kept = &mut self.proxies[id as usize].kept[server];
        let connects = *kept == 0;
        if slot == Slot::Stream {
            // The connection is the stream's from now on.
            *kept = 0;
        } else {
            *kept = u64::MAX;
        }
        self.proxies[id as usize].questions[slot as usize].held = !connects;
        let step = if connects { Step::Connection } else { Step::Work };
        let life = self.servers[server].life;
        let job = Job { kind, server, life, proxy: id, slot, serial, amount, connects, step };
        let job = self.keeps(job);
        self.at(arrives, Event::Job(job));
    }

    /// A connection was made for a question; `false`: it is no longer asked.
    pub fn connected(&mut self, id: u32, slot: Slot, serial: u32) -> bool {
        let question = &mut self.proxies[id as usize].questions[slot as usize];
        question.held = question.asked && question.serial == serial;
        question.held
    }

    pub fn answered(&mut self, id: u32, slot: Slot, serial: u32, well: bool) {
        let question = self.proxies[id as usize].questions[slot as usize];
        if !question.asked || question.serial != serial {
            return;
        }
        if !well {
            self.tries_next(id, slot);
            return;
        }
        let now = self.now;
        let proxy = self.proxy(id);
        proxy.questions[slot as usize].asked = false;
        if slot != Slot::Stream {
            (proxy.first, proxy.rest) = (question.server, 0);
            proxy.kept[question.server] = now + nanos(IDLE);
        }
        match question.kind {
            Kind::Renew => self.outcome.renewals.add(now - question.begun),
            Kind::Fetch => self.outcome.fetches.add(now - question.begun),
            _ => {}
        }
        self.goes_on(id, slot, question);
    }

    /// What follows an answer.
    fn goes_on(&mut self, id: u32, slot: Slot, question: Question) {
        let changed = self.store.changed[id as usize];
        match question.kind {
            Kind::Renew if changed > self.proxies[id as usize].known => {
                self.proxy(id).reread = true;
                self.warden(id);
            }
            Kind::Renew => {
                self.extends(id, question.sent);
                self.warden(id);
            }
            Kind::State => {
                self.extends(id, question.sent);
                self.applies(id, changed);
                if self.proxies[id as usize].started { self.warden(id) } else { self.ask(id, slot, Kind::Pins, 0) }
            }
            Kind::Service => {
                let amount = self.setting.sizes[self.proxies[id as usize].size].1 as u32;
                self.ask(id, slot, Kind::State, amount);
            }
            Kind::Pins => {
                self.proxy(id).started = true;
                self.begins(id);
                let serial = self.proxies[id as usize].stream.serial;
                self.opens(id, serial);
                self.warden(id);
            }
            Kind::Open => self.opened(id, question),
            Kind::Grants | Kind::Fill | Kind::Terms => self.supply(id),
            Kind::Fetch => self.fetch(id),
            _ => {}
        }
    }

    fn applies(&mut self, id: u32, changed: u64) {
        let (now, disturbed, concerned) = (self.now, self.disturbed, self.concerned);
        let proxy = self.proxy(id);
        if changed > proxy.known {
            proxy.known = changed;
            proxy.told = proxy.told.max(changed);
            proxy.fresh = Fresh::Purged(now);
            if changed == concerned {
                self.outcome.applied.add(now - disturbed);
            }
        }
    }

    /// Gives up questions that were not answered in time, and connections that were idle for long enough.
    pub fn sweeps(&mut self) {
        for id in 0..self.proxies.len() as u32 {
            for slot in SLOTS {
                let question = &self.proxies[id as usize].questions[slot as usize];
                if question.asked && self.now >= question.sent + nanos(REQUEST) {
                    self.tries_next(id, slot);
                }
            }
            for server in 0..self.servers.len() {
                let kept = &mut self.proxies[id as usize].kept[server];
                if *kept != 0 && *kept <= self.now {
                    *kept = 0;
                    self.closes(server);
                }
            }
        }
        self.at(self.now + SWEEP, Event::Sweep);
    }

    fn tries_next(&mut self, id: u32, slot: Slot) {
        let replicas = self.setting.replicas;
        let proxy = self.proxy(id);
        let question = &mut proxy.questions[slot as usize];
        let (server, held) = (question.server, std::mem::take(&mut question.held));
        if slot != Slot::Stream {
            proxy.kept[server] = 0;
        }
        if held {
            self.closes(server);
        }
        let question = &mut self.proxies[id as usize].questions[slot as usize];
        question.tries += 1;
        question.serial += 1;
        let serial = question.serial;
        if slot == Slot::Stream || question.tries == replicas.max(2) {
            self.fails(id, slot);
            return;
        }
        question.server = (question.server + 1) % replicas;
        let pause = if replicas == 1 { self.random.jitter(AGAIN) } else { 0 };
        self.at(self.now + pause, Event::Again { proxy: id, slot, serial });
    }

    pub fn closes(&mut self, server: usize) {
        let alive = self.servers[server].alive;
        if alive && let Some(next) = self.servers[server].connections.give(self.now) {
            self.go(next);
        }
    }

    pub fn asks_again(&mut self, id: u32, slot: Slot, serial: u32) {
        let question = &self.proxies[id as usize].questions[slot as usize];
        if question.asked && question.serial == serial {
            self.sends(id, slot);
        }
    }

    fn fails(&mut self, id: u32, slot: Slot) {
        self.outcome.failed += 1;
        let now = self.now;
        let chance = self.random.unit();
        let proxy = self.proxy(id);
        proxy.questions[slot as usize].asked = false;
        let life = proxy.life;
        if slot == Slot::Stream {
            self.closed(id);
            return;
        }
        if now >= proxy.rest_until {
            // One failure may be a connection that died just then.
            proxy.rest_until = now + (proxy.rest as f64 * (0.5 + chance / 2.0)) as u64;
            proxy.rest = if proxy.rest == 0 { nanos(REST_FIRST) } else { (proxy.rest * 2).min(nanos(REST_LAST)) };
        }
        let again = proxy.rest_until.max(now + nanos(RETRY));
        if !proxy.started {
            self.at(now + RESTART, Event::Start { proxy: id });
        } else if slot == Slot::Warden {
            let want = again.max(proxy.lease_until);
            self.at(want, Event::Want { proxy: id, life });
        }
    }

    // Keys.

    /// What sessions want of the supply and of fetches until the next time.
    pub fn demand(&mut self, id: u32, life: u32) {
        let now = self.now;
        let proxy = &self.proxies[id as usize];
        if proxy.life != life {
            return;
        }
        let rates = self.demands[proxy.size].at(now, proxy.fresh);
        let all = rates.all();
        let due = proxy.due;
        if due && proxy.lease_until > now {
            let mut chance = self.random.unit() * all;
            let kinds = [(Kind::Grants, rates.opened), (Kind::Fill, rates.filled), (Kind::Terms, rates.terms)];
            let order = kinds.into_iter().find(|(_, rate)| {
                chance -= rate;
                chance < 0.0
            });
            match order {
                Some((kind, _)) => {
                    self.proxy(id).orders.push(kind);
                    self.supply(id);
                }
                None => {
                    self.proxy(id).ids += rates.ids.round().max(1.0) as u32;
                    self.fetch(id);
                }
            }
        }
        // Rates change after a start: look again, whether something is due or not.
        let next = if all > 0.0 { self.random.next_of(all) } else { LOOK };
        self.proxy(id).due = next < LOOK;
        self.at(now + next.min(LOOK), Event::Demand { proxy: id, life });
    }

    fn supply(&mut self, id: u32) {
        let proxy = self.proxy(id);
        if proxy.questions[Slot::Supply as usize].asked {
            return;
        }
        if let Some(kind) = proxy.orders.pop() {
            let amount = if kind == Kind::Fill { POOL as u32 + 1 } else { 1 };
            self.ask(id, Slot::Supply, kind, amount);
        }
    }

    fn fetch(&mut self, id: u32) {
        let proxy = self.proxy(id);
        if !proxy.questions[Slot::Fetch as usize].asked && proxy.ids > 0 {
            let amount = proxy.ids.min(MAX_KEYS as u32);
            proxy.ids -= amount;
            self.ask(id, Slot::Fetch, Kind::Fetch, amount);
        }
    }

    pub fn records(&mut self, id: u32, life: u32) {
        let proxy = &self.proxies[id as usize];
        if proxy.life != life {
            return;
        }
        if !proxy.questions[Slot::Records as usize].asked && proxy.lease_until > self.now {
            self.ask(id, Slot::Records, Kind::Records, SHAPES);
        }
        self.at(self.now + nanos(Audit::default().interval), Event::Records { proxy: id, life });
    }

    /// It has a lease, hears events, and knows the last change.
    pub fn is_well(&self, id: u32) -> bool {
        let proxy = &self.proxies[id as usize];
        proxy.lease_until > self.now && proxy.stream.open && proxy.known == self.store.changed[id as usize]
    }

    /// A replica is gone.
    pub fn loses(&mut self, id: u32, server: usize) {
        self.proxy(id).kept[server] = 0;
        if self.proxies[id as usize].stream.open && self.proxies[id as usize].stream.server == server {
            self.closed(id);
        }
        for slot in SLOTS {
            let question = self.proxies[id as usize].questions[slot as usize];
            if question.asked && question.server == server {
                let serial = question.serial;
                self.at(self.now + self.wire(), Event::Answer { proxy: id, slot, serial, well: false });
            }
        }
    }

    /// It starts, again or for the first time.
    pub fn starts(&mut self, id: u32) {
        let now = self.now;
        let proxy = &self.proxies[id as usize];
        let held = (0..proxy.kept.len()).filter(|server| proxy.kept[*server] != 0).collect::<Vec<_>>();
        let stream = proxy.stream.open.then_some(proxy.stream.server);
        for server in held.into_iter().chain(stream) {
            self.closes(server);
        }
        let proxy = self.proxy(id);
        proxy.life += 1;
        proxy.kept.fill(0);
        (proxy.started, proxy.fresh, proxy.due) = (false, Fresh::Started(now), false);
        (proxy.lease_until, proxy.rest, proxy.rest_until) = (now, 0, 0);
        (proxy.renew, proxy.reread, proxy.ids) = (false, false, 0);
        proxy.orders.clear();
        proxy.stream.open = false;
        proxy.stream.serial += 1;
        proxy.stream.pause = nanos(REOPEN_FIRST);
        for question in &mut proxy.questions {
            (question.asked, question.held, question.serial) = (false, false, question.serial + 1);
        }
        self.ask(id, Slot::Warden, Kind::Service, 0);
    }
}
