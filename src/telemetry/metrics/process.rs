//! What Prometheus' own clients tell of every process, under the same names; read from `/proc` when somebody asks.

use std::fmt::Write;
use std::time::SystemTime;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Lines of `/proc/self/status`: name, unit, metric, help.
const STATUS: [(&str, f64, &str, &str); 3] = [
    ("VmRSS:", 1024.0, "process_resident_memory_bytes", "Memory that is in RAM."),
    ("VmSize:", 1024.0, "process_virtual_memory_bytes", "Memory that is mapped."),
    ("Threads:", 1.0, "process_threads", "Threads of the operating system."),
];

/// The process.
#[derive(Clone, Copy)]
pub(super) struct Process {
    started: SystemTime,
}

impl Process {
    /// Notes the time as that of its start.
    pub(super) fn new() -> Self {
        Process { started: SystemTime::now() }
    }

    /// Looks, and appends what there is in Prometheus' text form. What the system does not tell is not there.
    pub(super) fn render(self, out: &mut String) {
        let started = self.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        put(
            out,
            "process_start_time_seconds",
            "gauge",
            "When the process was started, in seconds since 1970.",
            started,
        );
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let cpu = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
        put(out, "process_cpu_seconds_total", "counter", "Time on processors.", cpu);
        if let Some(limit) = getrlimit(Resource::Nofile).current {
            put(out, "process_max_fds", "gauge", "File descriptors that it may open.", limit as f64);
        }
        if let Ok(fds) = std::fs::read_dir("/proc/self/fd") {
            // Without the one that reads the folder.
            let open = fds.count().saturating_sub(1) as f64;
            put(out, "process_open_fds", "gauge", "File descriptors that are open.", open);
        }
        let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return };
        for (field, unit, name, help) in STATUS {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            if let Some(number) = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok()) {
                put(out, name, "gauge", help, number * unit);
            }
        }
    }
}

fn put(out: &mut String, name: &str, kind: &str, help: &str, value: f64) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
}
