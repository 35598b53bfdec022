//! What is scarce: processor cores, and places of which there are only so many.

use std::collections::VecDeque;

/// Cores of a machine: work is begun in the order it comes.
pub struct Cores {
    free_at: Vec<u64>,
    /// Work so far, in nanoseconds.
    pub busy: u64,
}

impl Cores {
    pub fn new(count: usize) -> Self {
        Self { free_at: vec![0; count], busy: 0 }
    }

    /// Does work of this length; when it is done.
    pub fn work(&mut self, now: u64, length: u64) -> u64 {
        self.busy += length;
        let core = self.free_at.iter_mut().min().expect("a machine has a core");
        *core = (*core).max(now) + length;
        *core
    }

    /// Many pieces of work at once, spread over all cores; when the last is done.
    pub fn work_all(&mut self, now: u64, length: u64) -> u64 {
        let share = length / self.free_at.len() as u64;
        (0..self.free_at.len()).map(|_| self.work(now, share)).max().unwrap_or(now)
    }

    pub fn count(&self) -> usize {
        self.free_at.len()
    }
}

/// Places that are taken and given back; who finds none waits in turn.
pub struct Places {
    free: usize,
    count: usize,
    waiting: VecDeque<u32>,
    /// Taken so far, in nanoseconds, and when that was last added up.
    pub busy: u64,
    since: u64,
    /// Most that waited.
    pub most_waiting: usize,
}

impl Places {
    pub fn new(count: usize) -> Self {
        Self { free: count, count, waiting: VecDeque::new(), busy: 0, since: 0, most_waiting: 0 }
    }

    fn add_up(&mut self, now: u64) {
        self.busy += (self.count - self.free) as u64 * (now - self.since);
        self.since = now;
    }

    /// Takes a place for a job; `false`: it waits.
    pub fn take(&mut self, now: u64, job: u32) -> bool {
        self.add_up(now);
        if self.free == 0 {
            self.waiting.push_back(job);
            self.most_waiting = self.most_waiting.max(self.waiting.len());
            return false;
        }
        self.free -= 1;
        true
    }

    /// Takes a place if there is one.
    pub fn take_now(&mut self, now: u64) -> bool {
        self.free > 0 && self.take(now, 0)
    }

    /// Gives a place back; the job that has it now.
    pub fn give(&mut self, now: u64) -> Option<u32> {
        self.add_up(now);
        let next = self.waiting.pop_front();
        self.free = (self.free + usize::from(next.is_none())).min(self.count);
        next
    }

    /// Share that was taken in this time, in nanoseconds.
    pub fn share(&mut self, now: u64, span: u64) -> f64 {
        self.add_up(now);
        self.busy as f64 / (span as f64 * self.count as f64)
    }
}
