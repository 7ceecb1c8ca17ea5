//! What did a process cost, and what machine is this? Linux only, from `/proc`.

use std::fs;
use std::time::Duration;

/// `/proc/PID/stat` counts in units of `USER_HZ`, which is 100 on every architecture Rust's tier 1 knows.
const TICK: Duration = Duration::from_millis(10);

/// CPU time (user and system, all threads) a process has used so far; steps of 10 ms.
///
/// # Errors
/// A text that names the process when it is gone or `/proc` is not readable.
pub fn cpu_time(pid: u32) -> Result<Duration, String> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
    parse_stat(&stat).ok_or_else(|| format!("{path}: unexpected content"))
}

/// CPU times so far: of this process, and of the servers it drives.
#[derive(Debug, Clone)]
pub struct Cost {
    /// This process.
    pub generator: Duration,
    /// The servers, in the order they were named.
    pub servers: Vec<Duration>,
}

impl Cost {
    /// Reads them.
    ///
    /// # Errors
    /// As [`cpu_time`].
    pub fn now(servers: &[u32]) -> Result<Self, String> {
        let servers: Result<_, String> = servers.iter().map(|pid| cpu_time(*pid)).collect();
        Ok(Self { generator: cpu_time(std::process::id())?, servers: servers? })
    }

    /// What each server has used since `before`.
    #[must_use]
    pub fn servers_since(&self, before: &Self) -> Vec<Duration> {
        self.servers.iter().zip(&before.servers).map(|(now, then)| *now - *then).collect()
    }
}

/// Resident memory of a process in bytes. Read from `smaps_rollup`, which walks the page tables: the counter in
/// `status` may lag by some pages per CPU.
///
/// # Errors
/// A text that names the process when it is gone or `/proc` is not readable.
pub fn resident_bytes(pid: u32) -> Result<u64, String> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let rollup = fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
    parse_rss(&rollup).ok_or_else(|| format!("{path}: no Rss line"))
}

/// The load averages over 1, 5 and 15 minutes, as the kernel prints them.
#[must_use]
pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// CPU model, number of CPUs and kernel release in one line.
#[must_use]
pub fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    let model = model.map_or("unknown CPU", |(_, name)| name);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{model}, {cpus} CPUs, Linux {}", kernel.trim())
}

fn parse_stat(stat: &str) -> Option<Duration> {
    // The name (field 2) may contain spaces and parentheses: count from the last one. Fields 14 and 15 are the times.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(TICK * (user + system))
}

fn parse_rss(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_of_a_process_with_an_awkward_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194304 100 0 0 0 123 77 5 6 20 0 1 0 900 1000 10";
        assert_eq!(parse_stat(stat), Some(Duration::from_millis(2_000)));
        assert_eq!(parse_stat("42 (x) S 1 2"), None);
    }

    #[test]
    fn rss_is_in_bytes() {
        assert_eq!(parse_rss("0-1 ---p [rollup]\nRss:                3456 kB\nPss: 1 kB\n"), Some(3456 * 1024));
        assert_eq!(parse_rss("Pss: 1 kB\n"), None);
    }

    #[test]
    fn this_process_can_be_read() {
        let pid = std::process::id();
        assert!(resident_bytes(pid).expect("own memory") > 100_000);
        cpu_time(pid).expect("own CPU time");
        assert!(machine().contains("Linux"));
    }
}
