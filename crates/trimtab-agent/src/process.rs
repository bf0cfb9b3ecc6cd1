//! What the kernel says of this process: /proc/self, see proc(5).

use std::fmt::Write as _;
use std::fs;

use trimtab_metrics::process::Process;

/// `USER_HZ`, the unit of times in /proc/PID/stat (include/uapi/asm-generic/param.h).
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads it; what cannot be read is zero.
pub(crate) fn read(start: f64) -> Process {
    let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    // The folder that is being read is open, too.
    let open = fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1));
    Process {
        open_descriptors: open as u64,
        start,
        ..parse(&read("stat"), &read("status"), &read("limits"))
    }
}

fn parse(stat: &str, status: &str, limits: &str) -> Process {
    // The name in parentheses may contain anything; utime and stime are the 12th and 13th behind it.
    let times = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: f64 = times.skip(11).take(2).filter_map(|word| word.parse::<f64>().ok()).sum();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        number.unwrap_or(0)
    };
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let limit = limit.and_then(|line| line.split_whitespace().next());
    Process {
        cpu_seconds: ticks / TICKS_PER_SECOND,
        resident: field("VmRSS") * 1024,
        virtual_memory: field("VmSize") * 1024,
        threads: field("Threads"),
        descriptor_limit: match limit {
            Some("unlimited") => f64::INFINITY,
            Some(number) => number.parse().unwrap_or(0.0),
            None => 0.0,
        },
        ..Process::default()
    }
}

/// A line for each thread: its name, its state and its processor time, in seconds.
pub(crate) fn threads() -> String {
    let mut rows: Vec<(String, String, f64)> = Vec::new();
    for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let name = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')'));
        let Some((name, rest)) = name else { continue };
        let state = rest.split_whitespace().next().unwrap_or_default().to_owned();
        rows.push((name.to_owned(), state, parse(&stat, "", "").cpu_seconds));
    }
    rows.sort_by(|a, b| b.2.total_cmp(&a.2));
    let mut text = format!("{:<16} {:<5} {:>12}\n", "THREAD", "STATE", "CPU SECONDS");
    for (name, state, seconds) in rows {
        let _ = writeln!(text, "{name:<16} {state:<5} {seconds:>12.2}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 4 0 9 1 1 1";
        let status = "Name:\ta\nVmSize:\t    2048 kB\nVmRSS:\t     512 kB\nThreads:\t4\n";
        let limits = "Limit  Soft Limit Hard Limit Units\nMax open files  1024  4096  files\n";
        let process = parse(stat, status, limits);
        assert!((process.cpu_seconds - 3.0).abs() < 1e-9, "{process:?}");
        assert_eq!((process.resident, process.virtual_memory), (512 << 10, 2048 << 10));
        assert_eq!(process.threads, 4);
        assert!((process.descriptor_limit - 1024.0).abs() < 1e-9);
        let unlimited = parse("", "", "Max open files  unlimited  unlimited  files\n");
        assert!(unlimited.descriptor_limit.is_infinite());
    }

    #[test]
    fn this_process_has_memory_descriptors_and_threads() {
        let process = read(7.0);
        assert!(process.resident > 0 && process.virtual_memory >= process.resident);
        assert!(process.open_descriptors > 0 && process.threads > 0);
        assert!(process.descriptor_limit >= 1.0);
        assert!(threads().lines().count() > 1);
    }
}
