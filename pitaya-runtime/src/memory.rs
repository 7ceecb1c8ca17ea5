//! Memory that this process may use.

use std::fs;

/// Bytes this process may use: the limit of its control group (version 2, then 1), or the memory of the machine. `None` where
/// neither can be read, as on systems other than Linux.
pub(crate) fn limit() -> Option<usize> {
    let groups = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    // Without a limit the first says `max`, the second a number near 2^63.
    let group = groups.iter().filter_map(|path| fs::read_to_string(path).ok()?.trim().parse::<usize>().ok()).min();
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    });
    group.into_iter().chain(machine).min()
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn a_machine_has_memory() {
        let limit = super::limit().expect("Linux tells");
        assert!(limit > 1 << 20, "{limit}");
    }
}
