//! What a process of a test costs, from `/proc`.

use std::fs;
use std::time::Duration;

/// `/proc/PID/stat` counts in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// The time on the CPU so far, of all its threads.
///
/// # Panics
/// When the process is gone.
#[must_use]
pub fn cpu(pid: u32) -> Duration {
    let stat = read(pid, "stat");
    // The name, in parentheses, may have blanks in it; `utime` and `stime` are the 12th and 13th field behind it.
    let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
    let ticks: u32 = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u32>().expect("ticks")).sum();
    TICK * ticks
}

/// Its resident memory, in bytes.
///
/// # Panics
/// When the process is gone.
#[must_use]
pub fn resident(pid: u32) -> u64 {
    // `status` lags behind by some pages a CPU; this walks the page tables.
    let rollup = read(pid, "smaps_rollup");
    let line = rollup.lines().find(|line| line.starts_with("Rss:")).expect("a line of it");
    line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number") * 1024
}

/// How many files it has open, sockets among them.
///
/// # Panics
/// When the process is gone.
#[must_use]
pub fn files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("the process runs").count()
}

fn read(pid: u32, file: &str) -> String {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}
