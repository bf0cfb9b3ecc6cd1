//! Lists of CPUs as the kernel writes and reads them, such as `0-3,8`.

use std::path::Path;

/// The number of online CPUs of the machine, even if this process may use only some of them. `sys`
/// is `/sys` except in tests; if that cannot be read, the number of CPUs that this process may use.
pub fn online(sys: &Path) -> u32 {
    count(sys, "online").unwrap_or_else(|| {
        std::thread::available_parallelism()
            .map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX))
    })
}

/// The number of possible CPUs, for which the kernel keeps per-CPU data; `None` if `sys` cannot be
/// read.
pub fn possible(sys: &Path) -> Option<u32> {
    count(sys, "possible")
}

/// How many CPUs are in one of the kernel's lists (Documentation/admin-guide/cputopology.rst).
fn count(sys: &Path, list: &str) -> Option<u32> {
    let text = std::fs::read_to_string(sys.join("devices/system/cpu").join(list)).ok()?;
    u32::try_from(parse(&text)?.len()).ok()
}

/// The CPUs in a list, in order, each once; `None` if it is not a list. Supports numbers and
/// ranges, a part of what `cpulist_parse` (lib/bitmap-str.c) accepts.
pub fn parse(text: &str) -> Option<Vec<u16>> {
    let mut cpus: Vec<u16> = Vec::new();
    for part in text.trim().split(',') {
        let (first, end) = part.split_once('-').unwrap_or((part, part));
        let (first, end) = (first.trim().parse::<u16>().ok()?, end.trim().parse().ok()?);
        if first > end {
            return None;
        }
        cpus.extend(first..=end);
    }
    cpus.sort_unstable();
    cpus.dedup();
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_mean_the_same_however_they_are_written() {
        assert_eq!(parse("0-3,8\n"), Some(vec![0, 1, 2, 3, 8]));
        assert_eq!(parse("8,1,0,2-3,2"), parse("0-3,8"));
        assert_eq!(parse("0"), Some(vec![0]));
        for text in ["", "all", "3-1", "1,", "-1", "0-3-5"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_machines_cpus_count_and_not_those_that_a_container_may_use() {
        // This respects a cgroup or cpuset.
        let mut one = rustix::thread::CpuSet::new();
        one.set(rustix::thread::sched_getcpu());
        let seen = std::thread::spawn(move || {
            rustix::thread::sched_setaffinity(None, &one).unwrap();
            let usable = std::thread::available_parallelism().unwrap().get();
            (usable, online(Path::new("/sys")))
        });
        let text = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap();
        let online = parse(&text).unwrap().len();
        assert_eq!(seen.join().unwrap(), (1, u32::try_from(online).unwrap()));
    }

    #[test]
    fn a_list_of_cpus_is_counted_and_without_one_there_is_at_least_one_cpu() {
        let sys = tempfile::tempdir().unwrap();
        assert!(online(sys.path()) >= 1);
        let folder = sys.path().join("devices/system/cpu");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("online"), "0-95,128-191\n").unwrap();
        assert_eq!(online(sys.path()), 160);
    }
}
