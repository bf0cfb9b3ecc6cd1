//! Reading and writing sysctls.

use std::fs;
use std::path::Path;

use super::Sysctl;
use crate::{Error, Failed};

/// What became of a list of sysctls: those named in neither field were right already.
#[derive(Debug, Default)]
pub struct Applied {
    /// Those that were written, with the value that they had.
    pub changed: Vec<(Sysctl, String)>,
    /// Those that still have a wrong value, by their position in the list.
    pub failed: Vec<Failed>,
}

/// Writes the sysctls that differ. `proc_sys` is `/proc/sys` except in tests; network sysctls are
/// those of the calling thread's network namespace.
pub fn apply(proc_sys: &Path, sysctls: &[Sysctl]) -> Applied {
    let mut applied = Applied::default();
    for (index, sysctl) in sysctls.iter().enumerate() {
        match set(&proc_sys.join(sysctl.name), sysctl) {
            Ok(None) => {}
            Ok(Some(before)) => applied.changed.push((sysctl.clone(), before)),
            Err(error) => applied.failed.push(Failed { index, error }),
        }
    }
    applied
}

/// The number of buckets of the connection table, a module parameter and not a sysctl: raises it to
/// a quarter of the entries if it is smaller. Returns the number it had if it was raised. `sys` is
/// `/sys` but for tests.
///
/// # Errors
/// [`Error::SysctlRead`] and [`Error::SysctlWrite`]; the table then works, more slowly.
pub fn raise_conntrack_buckets(sys: &Path, max_entries: u32) -> Result<Option<u32>, Error> {
    let name = "module/nf_conntrack/parameters/hashsize";
    let path = sys.join(name);
    let text = read(&path, name)?;
    let buckets = max_entries / 4;
    match text.parse::<u32>() {
        Ok(present) if present < buckets => {
            let reason = "conntrack: lookups slow down beyond four entries per bucket";
            write(&path, name, &text, &buckets.to_string(), reason).map(|()| Some(present))
        }
        _ => Ok(None),
    }
}

/// The previous value, if it was different.
fn set(path: &Path, sysctl: &Sysctl) -> Result<Option<String>, Error> {
    let current = read(path, sysctl.name)?;
    if current.parse() == Ok(sysctl.value) {
        return Ok(None);
    }
    write(path, sysctl.name, &current, &sysctl.value.to_string(), sysctl.reason)?;
    Ok(Some(current))
}

pub(super) fn read(path: &Path, name: &str) -> Result<String, Error> {
    fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .map_err(|source| Error::SysctlRead { name: name.into(), source })
}

pub(super) fn write(
    path: &Path,
    name: &str,
    current: &str,
    wanted: &str,
    reason: &'static str,
) -> Result<(), Error> {
    fs::write(path, wanted).map_err(|source| Error::SysctlWrite {
        name: name.into(),
        current: current.into(),
        wanted: wanted.into(),
        reason,
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A directory in place of /proc/sys, deleted when dropped.
    struct ProcSys(PathBuf);

    impl ProcSys {
        fn new(test: &str, values: &[(&str, &str)]) -> Self {
            let root = std::env::temp_dir().join(format!("trimtab-{test}-{}", std::process::id()));
            for (name, value) in values {
                let path = root.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, format!("{value}\n")).unwrap();
            }
            Self(root)
        }

        fn value(&self, name: &str) -> String {
            fs::read_to_string(self.0.join(name)).unwrap()
        }
    }

    impl Drop for ProcSys {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const RIGHT: Sysctl = Sysctl { name: "net/ipv4/ip_forward", value: 1, reason: "forwarding" };
    const WRONG: Sysctl =
        Sysctl { name: "net/ipv4/vs/conntrack", value: 1, reason: "masquerading" };

    #[test]
    fn only_what_differs_is_written() {
        let root = ProcSys::new("differs", &[(RIGHT.name, "1"), (WRONG.name, "0")]);
        let applied = apply(&root.0, &[RIGHT, WRONG]);
        assert!(applied.failed.is_empty());
        assert_eq!(applied.changed, [(WRONG, "0".to_owned())]);
        assert_eq!(root.value(WRONG.name), "1");
        // The line feed shows that nobody wrote it.
        assert_eq!(root.value(RIGHT.name), "1\n");
    }

    #[test]
    fn one_that_cannot_be_written_is_named_with_both_values_and_does_not_stop_the_others() {
        let root = ProcSys::new("readonly", &[(WRONG.name, "0"), (RIGHT.name, "0")]);
        // Root may write any file, but nobody can write a directory.
        let path = root.0.join("net/ipv4/vs/missing");
        fs::create_dir_all(&path).unwrap();
        let missing = Sysctl { name: "net/ipv4/vs/absent", value: 1, reason: "x" };
        let applied = apply(&root.0, &[missing, RIGHT]);
        assert_eq!(applied.failed.len(), 1);
        assert_eq!(applied.failed[0].index, 0);
        assert!(applied.failed[0].error.to_string().contains("modprobe ip_vs"));
        assert_eq!(applied.changed.len(), 1);
        let denied = std::io::Error::from_raw_os_error(libc::EROFS);
        let error = Error::SysctlWrite {
            name: WRONG.name.into(),
            current: "0".into(),
            wanted: "1".into(),
            reason: WRONG.reason,
            source: denied,
        };
        let text = error.to_string();
        for part in [WRONG.name, "is 0", "must be 1", "masquerading", "Read-only", "sysctl -w"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn buckets_are_raised_and_never_lowered() {
        let name = "module/nf_conntrack/parameters/hashsize";
        let root = ProcSys::new("buckets", &[(name, "65536")]);
        assert_eq!(raise_conntrack_buckets(&root.0, 262_144).unwrap(), None);
        assert_eq!(raise_conntrack_buckets(&root.0, 1_048_576).unwrap(), Some(65_536));
        assert_eq!(root.value(name), "262144");
    }
}
