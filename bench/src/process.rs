//! Statistics of a process from `/proc`.

use std::fs;
use std::ops::Sub;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// CPU time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cpu {
    /// Seconds in the program.
    pub user: f64,
    /// Seconds in the kernel, on the program's behalf.
    pub system: f64,
}

impl Cpu {
    /// Both.
    pub fn total(self) -> f64 {
        self.user + self.system
    }

    /// The kernel's part of it, from 0 to 1. Nothing where the kernel keeps no account of programs'
    /// own time, as User-Mode Linux does not.
    pub fn kernel_share(self) -> Option<f64> {
        (self.user > 0.0).then(|| self.system / self.total())
    }
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { user: self.user - before.user, system: self.system - before.system }
    }
}

/// The CPU time of a process with all its threads and the children that it has waited for.
///
/// # Errors
/// When it is gone.
pub fn cpu(pid: u32) -> Result<Cpu> {
    let fields = stat(&format!("/proc/{pid}/stat"))?;
    // utime, stime, cutime, cstime: fields 14 to 17 (proc(5)).
    Ok(Cpu {
        user: fields.ticks(14) + fields.ticks(16),
        system: fields.ticks(15) + fields.ticks(17),
    })
}

/// Pages that a process touched for the first time, or again after they were given back.
///
/// # Errors
/// When it is gone.
pub fn page_faults(pid: u32) -> Result<u64> {
    let fields = stat(&format!("/proc/{pid}/stat"))?;
    // minflt, majflt: fields 10 and 12 (proc(5)).
    Ok(fields.count(10) + fields.count(12))
}

/// The CPU time of the threads of this process that have this name.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn thread_cpu(name: &str) -> Result<Cpu> {
    let mut sum = Cpu::default();
    for entry in fs::read_dir("/proc/self/task").context("/proc/self/task")? {
        let path = entry?.path();
        // A thread may end meanwhile.
        let Ok(comm) = fs::read_to_string(path.join("comm")) else { continue };
        if comm.trim_end() == name {
            let fields = stat(&path.join("stat").display().to_string())?;
            sum.user += fields.ticks(14);
            sum.system += fields.ticks(15);
        }
    }
    Ok(sum)
}

/// Memory of a process, in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Resident now (VmRSS).
    pub resident: u64,
    /// The most that was ever resident (VmHWM).
    pub peak: u64,
}

/// The memory of a process.
///
/// # Errors
/// When it is gone.
pub fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).context(path)?;
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse().ok()
    };
    Ok(Memory {
        resident: kib("VmRSS").context("no VmRSS")?,
        peak: kib("VmHWM").context("no VmHWM")?,
    })
}

/// Processes and threads started on this kernel since it booted.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn forks() -> Result<u64> {
    let text = fs::read_to_string("/proc/stat").context("/proc/stat")?;
    let line = text.lines().find_map(|line| line.strip_prefix("processes "));
    line.and_then(|count| count.trim().parse().ok()).context("/proc/stat without processes")
}

/// Time of all processors, busy or idle.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    idle: u64,
    all: u64,
}

impl Share {
    /// The idle part of the time since `before`, from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a few hundred ticks")]
    pub fn idle_since(&self, before: &Self) -> f64 {
        let all = self.all.saturating_sub(before.all).max(1);
        self.idle.saturating_sub(before.idle) as f64 / all as f64
    }
}

/// How idle the machine has been so far.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn idle_share() -> Result<Share> {
    let text = fs::read_to_string("/proc/stat").context("/proc/stat")?;
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = line.split_whitespace().skip(1).flat_map(str::parse).collect();
    // user nice system idle iowait irq softirq steal (proc(5)); guest time is in user already.
    let idle = ticks.get(3).copied().unwrap_or(0) + ticks.get(4).copied().unwrap_or(0);
    Ok(Share { idle, all: ticks.iter().take(8).sum() })
}

/// The fields of a `stat` file, counted from 1 as in proc(5).
struct Fields(Vec<String>);

impl Fields {
    fn count(&self, field: usize) -> u64 {
        self.0.get(field - 1).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// A time in clock ticks, in seconds.
    fn ticks(&self, field: usize) -> f64 {
        let ticks: f64 = self.0.get(field - 1).and_then(|text| text.parse().ok()).unwrap_or(0.0);
        // USER_HZ is 100 on every architecture that Linux has today.
        ticks / 100.0
    }
}

fn stat(path: &str) -> Result<Fields> {
    let text = fs::read_to_string(path).with_context(|| path.to_owned())?;
    Ok(fields(&text))
}

/// The name, field 2, is in parentheses and may hold anything.
fn fields(text: &str) -> Fields {
    let (head, tail) = text.rsplit_once(") ").unwrap_or((text, ""));
    let mut fields: Vec<String> = head.splitn(2, " (").map(str::to_owned).collect();
    fields.extend(tail.split_whitespace().map(str::to_owned));
    Fields(fields)
}

/// The kernel's release and the processors of this machine, in words.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn machine() -> Result<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").context("osrelease")?;
    let processors = std::thread::available_parallelism()?;
    Ok(format!("Linux {}, {processors} processor(s)", release.trim_end()))
}

/// A duration in milliseconds.
pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_shifts_nothing() {
        let text = "7 (a b) c) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 3 4 20 0 5 0";
        let fields = fields(text);
        assert_eq!(fields.0[1], "a b) c");
        assert_eq!((fields.ticks(14), fields.ticks(15)), (2.5, 0.5));
    }

    #[test]
    fn this_process_has_memory_and_time() {
        let memory = memory(std::process::id()).unwrap();
        assert!(memory.peak >= memory.resident && memory.resident > 0);
        assert!(cpu(std::process::id()).is_ok());
        assert!(forks().unwrap() > 0);
    }
}
