//! Processor time and memory of processes.

use std::fs;
use std::ops::{Div, Mul, Sub};

/// Of `utime` and `stime`: what Linux shows to all programs.
const TICKS: f64 = 100.0;

/// Seconds of processor time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    pub server: f64,
    pub store: f64,
}

impl Sub for Cpu {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self { server: self.server - other.server, store: self.store - other.store }
    }
}

impl Div<f64> for Cpu {
    type Output = Self;
    fn div(self, by: f64) -> Self {
        Self { server: self.server / by, store: self.store / by }
    }
}

impl Mul<f64> for Cpu {
    type Output = Self;
    fn mul(self, by: f64) -> Self {
        Self { server: self.server * by, store: self.store * by }
    }
}

/// User and system time of one process, and, where asked for, of its children that have ended.
pub fn time(pid: u32, ended_children: bool) -> f64 {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return 0.0 };
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let field = |number: usize| after_name.split_whitespace().nth(number - 3)?.parse::<f64>().ok();
    let fields = if ended_children { 14..=17 } else { 14..=15 };
    fields.filter_map(field).sum::<f64>() / TICKS
}

/// Time of a process and all its children.
pub fn family(pid: u32) -> f64 {
    let children = fs::read_dir("/proc").expect("/proc").filter_map(|entry| {
        let child: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).ok()?;
        let parent: u32 = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        (parent == pid).then_some(child)
    });
    time(pid, true) + children.map(|child| time(child, false)).sum::<f64>()
}

/// Resident memory in KiB.
pub fn memory(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
