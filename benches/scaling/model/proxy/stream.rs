//! The event stream of one proxy: heartbeats, silence, and the next server after a time.

use columnseal::keys::remote::{REOPEN_FIRST, REOPEN_LAST, SILENCE};
use columnseal::keyserver::http::HEARTBEAT;

use super::super::super::figures;
use super::super::world::{Event, World};
use super::super::{Kind, nanos};
use super::{Question, Slot, Stream};

impl World {
    pub fn opens(&mut self, id: u32, serial: u32) {
        let stream = &self.proxies[id as usize].stream;
        if !stream.open && stream.serial == serial && !self.proxies[id as usize].questions[Slot::Stream as usize].asked
        {
            self.ask(id, Slot::Stream, Kind::Open, 0);
        }
    }

    pub(super) fn opened(&mut self, id: u32, question: Question) {
        let (now, changed) = (self.now, self.store.changed[id as usize]);
        let stream = &mut self.proxy(id).stream;
        *stream = Stream {
            open: true,
            server: question.server,
            serial: stream.serial + 1,
            heard: now,
            pause: nanos(REOPEN_FIRST),
            next: question.server,
        };
        let serial = stream.serial;
        self.proxy(id).told = changed;
        self.at(now, Event::Beat { proxy: id, serial });
        if changed > self.proxies[id as usize].known {
            self.at(now, Event::Told { proxy: id, serial, changed });
        }
    }

    pub fn beats(&mut self, id: u32, serial: u32) {
        let stream = &self.proxies[id as usize].stream;
        if !stream.open || stream.serial != serial {
            return;
        }
        let (server, heard) = (stream.server, stream.heard);
        if self.store.away {
            self.at(heard.max(self.now - nanos(SILENCE)) + nanos(SILENCE), Event::Silence { proxy: id, serial });
        } else {
            let work = figures::BEAT.server;
            let count = self.outcome.count(Kind::Beat);
            (count.done, count.server) = (count.done + 1, count.server + work);
            let heard_at = self.servers[server].cores.work(self.now, work) + self.wire();
            if heard_at > heard + nanos(SILENCE) {
                self.at(self.now.max(heard + nanos(SILENCE)), Event::Silence { proxy: id, serial });
            } else {
                self.proxy(id).stream.heard = heard_at;
            }
        }
        self.at(self.now + nanos(HEARTBEAT), Event::Beat { proxy: id, serial });
    }

    pub fn silence(&mut self, id: u32, serial: u32) {
        let stream = &self.proxies[id as usize].stream;
        if stream.open && stream.serial == serial && self.now >= stream.heard + nanos(SILENCE) {
            let server = stream.server;
            self.closes(server);
            self.closed(id);
        }
    }

    /// The stream is lost, or cannot be opened: the next server, after a time.
    pub(super) fn closed(&mut self, id: u32) {
        let (replicas, chance) = (self.setting.replicas, self.random.unit());
        let now = self.now;
        let stream = &mut self.proxy(id).stream;
        if stream.open {
            stream.open = false;
            stream.serial += 1;
        }
        let pause = (stream.pause as f64 * chance) as u64;
        stream.pause = (stream.pause * 2).min(nanos(REOPEN_LAST));
        stream.next = (stream.next + 1) % replicas;
        let serial = stream.serial;
        self.outcome.lost_streams += 1;
        self.at(now + pause, Event::Open { proxy: id, serial });
    }

    /// The stream's client is read: it is told.
    pub fn tells(&mut self, id: u32, serial: u32) {
        let changed = self.store.changed[id as usize];
        let server = self.proxies[id as usize].stream.server;
        self.outcome.count(Kind::Look).server += figures::BEAT.server;
        let done = self.servers[server].cores.work(self.now, figures::BEAT.server);
        self.proxy(id).told = changed;
        self.at(done + self.wire(), Event::Told { proxy: id, serial, changed });
    }

    pub fn told(&mut self, id: u32, serial: u32, changed: u64) {
        let now = self.now;
        let proxy = self.proxy(id);
        if proxy.stream.serial == serial && proxy.stream.open {
            proxy.stream.heard = proxy.stream.heard.max(now);
            if changed > proxy.known {
                proxy.reread = true;
                self.warden(id);
            }
        }
    }
}
