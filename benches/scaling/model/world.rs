//! Time, and who acts when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::demand::Demand;
use super::outcome::Outcome;
use super::proxy::{Proxy, Slot};
use super::random::Random;
use super::resources::{Cores, Places};
use super::server::{Job, Server, Step, Store};
use super::{Kind, SECOND, Setting, nanos};

/// From a proxy to a replica, one way.
const WIRE: u64 = 250_000;

/// Time does not begin at 0: there was something before.
pub const BEGIN: u64 = 100 * SECOND;

/// What happens at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Event {
    /// A step of a job is done.
    Job(u32),
    Answer {
        proxy: u32,
        slot: Slot,
        serial: u32,
        well: bool,
    },
    /// A proxy asks again where it was refused.
    Again {
        proxy: u32,
        slot: Slot,
        serial: u32,
    },
    Renew {
        proxy: u32,
        life: u32,
    },
    /// A session wants keys and the lease is over.
    Want {
        proxy: u32,
        life: u32,
    },
    Records {
        proxy: u32,
        life: u32,
    },
    Demand {
        proxy: u32,
        life: u32,
    },
    Open {
        proxy: u32,
        serial: u32,
    },
    Beat {
        proxy: u32,
        serial: u32,
    },
    Silence {
        proxy: u32,
        serial: u32,
    },
    Told {
        proxy: u32,
        serial: u32,
        changed: u64,
    },
    Sweep,
    Poll(u32),
    Known {
        server: u32,
        revision: u64,
    },
    Start {
        proxy: u32,
    },
    Disturb(u32),
}

/// What disturbs a world.
#[derive(Clone, Debug)]
pub enum Disturbance {
    /// Something of these clients changes, asked of the first replica.
    Change(Vec<u32>),
    /// A replica ends at once.
    Kill(usize),
    /// The store does not answer.
    Away(bool),
    /// The store takes so many times as long.
    Slow(f64),
    /// This share of the proxies starts anew, spread over this many nanoseconds.
    Restart(f64, u64),
}

pub struct World {
    pub setting: Setting,
    pub now: u64,
    pub random: Random,
    pub proxies: Vec<Proxy>,
    pub servers: Vec<Server>,
    pub store: Store,
    pub jobs: Vec<Job>,
    unused: Vec<u32>,
    /// By replica and client: when it was last noted.
    pub noted: Vec<Vec<u64>>,
    pub demands: Vec<Demand>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    number: u64,
    pub outcome: Outcome,
    disturbances: Vec<Disturbance>,
    /// When it was last disturbed, and the clients that a change concerned.
    pub disturbed: u64,
    pub concerned: u64,
}

impl World {
    /// A world in which every proxy has run for long.
    pub fn new(setting: &Setting) -> Self {
        let mut random = Random::new(setting.seed);
        let demands = setting.sizes.iter().map(|(_, size)| Demand::play(*size, &setting.load, &mut random)).collect();
        let servers = (0..setting.replicas).map(|_| Server::new(setting.cores, setting.max_connections)).collect();
        let (trip, commit) = (nanos(setting.trip), nanos(setting.commit));
        let mut world = Self {
            now: BEGIN,
            random,
            proxies: Vec::new(),
            servers,
            store: Store::new(setting.store_cores, setting.proxies, trip, commit),
            jobs: Vec::new(),
            unused: Vec::new(),
            noted: vec![vec![0; setting.proxies]; setting.replicas],
            demands,
            events: BinaryHeap::new(),
            number: 0,
            outcome: Outcome::default(),
            disturbances: Vec::new(),
            disturbed: 0,
            concerned: 0,
            setting: setting.clone(),
        };
        world.populate();
        world.at(BEGIN, Event::Sweep);
        (0..setting.replicas).for_each(|server| world.at(BEGIN, Event::Poll(server as u32)));
        world
    }

    fn populate(&mut self) {
        for id in 0..self.setting.proxies as u32 {
            let mut chance = self.random.unit();
            let mut size = 0;
            while size + 1 < self.setting.sizes.len() && chance >= self.setting.sizes[size].0 {
                chance -= self.setting.sizes[size].0;
                size += 1;
            }
            let active = self.random.unit() < self.setting.active;
            let first = self.random.below(self.setting.replicas);
            self.proxies.push(Proxy::new(self.setting.replicas, size, active, first));
            self.settle(id);
        }
    }

    /// Disturbs the world at a time.
    pub fn disturb(&mut self, at: u64, what: Disturbance) {
        self.disturbances.push(what);
        self.at(at, Event::Disturb(self.disturbances.len() as u32 - 1));
    }

    pub fn at(&mut self, at: u64, event: Event) {
        self.number += 1;
        self.events.push(Reverse((at, self.number, event)));
    }

    pub fn wire(&self) -> u64 {
        WIRE
    }

    /// Begins to count anew.
    pub fn count_anew(&mut self) {
        self.outcome = Outcome::default();
        let now = self.now;
        let anew = |places: &mut Places| {
            places.share(now, 1);
            places.busy = 0;
            places.most_waiting = 0;
        };
        for server in &mut self.servers {
            server.cores.busy = 0;
            [&mut server.threads, &mut server.pool, &mut server.connections].into_iter().for_each(anew);
        }
        self.store.cores.busy = 0;
        anew(&mut self.store.turns);
    }

    /// Lets time pass up to `end`.
    pub fn run(&mut self, end: u64) {
        while let Some(Reverse((at, _, _))) = self.events.peek() {
            if *at > end {
                break;
            }
            let Some(Reverse((at, _, event))) = self.events.pop() else { break };
            self.now = at;
            self.outcome.events += 1;
            self.happens(event);
        }
        self.now = end;
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Job(id) => self.go(id),
            Event::Answer { proxy, slot, serial, well } => self.answered(proxy, slot, serial, well),
            Event::Sweep => self.sweeps(),
            Event::Again { proxy, slot, serial } => self.asks_again(proxy, slot, serial),
            Event::Renew { proxy, life } => self.renews(proxy, life),
            Event::Want { proxy, life } => self.wants(proxy, life),
            Event::Records { proxy, life } => self.records(proxy, life),
            Event::Demand { proxy, life } => self.demand(proxy, life),
            Event::Open { proxy, serial } => self.opens(proxy, serial),
            Event::Beat { proxy, serial } => self.beats(proxy, serial),
            Event::Silence { proxy, serial } => self.silence(proxy, serial),
            Event::Told { proxy, serial, changed } => self.told(proxy, serial, changed),
            Event::Poll(server) => self.poll(server as usize),
            Event::Known { server, .. } => self.knows(server as usize),
            Event::Start { proxy } => self.starts(proxy),
            Event::Disturb(number) => self.disturbs(number),
        }
    }

    fn disturbs(&mut self, number: u32) {
        self.disturbed = self.now;
        match self.disturbances[number as usize].clone() {
            Disturbance::Change(clients) => {
                self.store.change(clients.into_iter());
                self.concerned = self.store.revision;
                self.poke(0);
            }
            Disturbance::Kill(server) => self.kills(server),
            Disturbance::Away(away) => self.store.away = away,
            Disturbance::Slow(times) => {
                self.store.trip = (nanos(self.setting.trip) as f64 * times) as u64;
                self.store.commit = (nanos(self.setting.commit) as f64 * times) as u64;
            }
            Disturbance::Restart(share, over) => {
                for proxy in 0..(self.proxies.len() as f64 * share) as u32 {
                    let at = self.now + self.random.spread(over);
                    self.at(at, Event::Start { proxy });
                }
            }
        }
    }

    fn kills(&mut self, at: usize) {
        self.servers[at].ends(&self.setting);
        for proxy in 0..self.proxies.len() as u32 {
            self.loses(proxy, at);
        }
    }

    /// Proxies whose streams are open at a replica.
    pub fn open_at(&self, server: usize) -> Vec<u32> {
        let all = (0..).zip(&self.proxies);
        all.filter(|(_, proxy)| proxy.stream.open && proxy.stream.server == server).map(|(id, _)| id).collect()
    }

    /// A job at a replica.
    pub fn job(&mut self, kind: Kind, server: usize, proxy: u32, serial: u32, step: Step) -> u32 {
        let (slot, life) = (Slot::Stream, self.servers[server].life);
        let job = Job { kind, server, life, proxy, slot, serial, amount: 0, connects: false, step };
        let id = self.keeps(job);
        self.at(self.now, Event::Job(id));
        id
    }

    pub fn keeps(&mut self, job: Job) -> u32 {
        match self.unused.pop() {
            Some(id) => {
                self.jobs[id as usize] = job;
                id
            }
            None => {
                self.jobs.push(job);
                self.jobs.len() as u32 - 1
            }
        }
    }

    pub fn forget(&mut self, id: u32) {
        self.unused.push(id);
    }

    /// How much of everything was used since counting began at `begin`.
    pub fn end(mut self, begin: u64) -> Outcome {
        let (now, span) = (self.now, (self.now - begin).max(1));
        let share = |cores: &Cores| cores.busy as f64 / (span as f64 * cores.count() as f64);
        let most = |shares: Vec<f64>| shares.into_iter().fold(0.0, f64::max);
        let servers = &mut self.servers;
        let cores = most(servers.iter().map(|server| share(&server.cores)).collect());
        let threads = most(servers.iter_mut().map(|server| server.threads.share(now, span)).collect());
        let pool = most(servers.iter_mut().map(|server| server.pool.share(now, span)).collect());
        let connections = most(servers.iter_mut().map(|server| server.connections.share(now, span)).collect());
        self.outcome.uses = vec![
            ("processor of a replica", cores),
            ("threads of a replica", threads),
            ("its connections to the store", pool),
            ("keyserver.max_connections", connections),
            ("processor of the store", share(&self.store.cores)),
            ("the store's row of turns", self.store.turns.share(now, span)),
        ];
        self.leases_end();
        self.outcome
    }
}
