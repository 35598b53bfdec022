//! What a process has used, as Linux counts it.

use std::fs;

/// Processor time and memory of a process.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Usage {
    /// Seconds of user and system time.
    pub(super) cpu: f64,
    /// Most resident memory so far, in KiB.
    pub(super) peak: u64,
    /// Resident memory now, in KiB.
    pub(super) resident: u64,
}

/// Of a process that runs; nothing of one that does not.
pub(super) fn usage(pid: u32) -> Usage {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let status = read("status");
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
    };
    Usage { cpu: ticks(&read("stat")) as f64 / 100.0, peak: kib("VmHWM:"), resident: kib("VmRSS:") }
}

/// Fields 14 and 15 of `stat`, counted behind the name, which may hold anything.
fn ticks(stat: &str) -> u64 {
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum()
}

/// Forgets the peak so far, where that is allowed.
pub(super) fn forget_peak(pid: u32) {
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// One line on the machine.
pub(super) fn machine() -> String {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = field(&read("/proc/meminfo"), "MemTotal").trim_end_matches(" kB").parse::<u64>().unwrap_or(0);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{cores} x {}, {} GiB, Linux {}", field(&read("/proc/cpuinfo"), "model name"), memory >> 20, kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_process_is_measured() {
        let own = usage(std::process::id());
        assert!(own.resident > 0 && own.peak >= own.resident && own.cpu >= 0.0, "{own:?}");
        assert_eq!(usage(0), Usage::default());
        assert_eq!(ticks("1 (a) b) S 1 1 1 0 -1 4194560 1 2 3 4 50 7 0 0 20"), 57);
        assert!(machine().contains("GiB"));
    }
}
