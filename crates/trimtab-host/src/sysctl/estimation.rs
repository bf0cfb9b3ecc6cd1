//! IPVS's estimators: kernel threads that turn counters into rates.
//!
//! Each virtual server and each real server is an estimator of its own, looked at every two
//! seconds; a hundred thousand of them keep a part of a processor busy (Documentation/networking/
//! ipvs-sysctl.rst, run_estimation).

use std::path::Path;

use super::apply::{read, write};
use crate::{Error, cpu_list};

/// `None` leaves a setting unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EstimationOptions {
    /// Whether rates are measured at all; without, `ipvsadm -Ln --rate` shows what it last showed.
    /// Linux 5.19 and later.
    pub run: Option<bool>,
    /// The threads' niceness, -20 to 19. Linux 6.2 and later.
    pub nice: Option<i8>,
    /// The CPUs that the threads may run on, as `cpulist_parse` takes them. Linux 6.2 and later.
    pub cpus: Option<String>,
}

impl EstimationOptions {
    /// Writes what differs; returns what was written, in words. `proc_sys` is `/proc/sys` but for
    /// tests.
    ///
    /// # Errors
    /// [`Error::SysctlRead`] for one that this kernel does not have, [`Error::SysctlWrite`] for one
    /// that it refuses; those before it are written.
    pub fn apply(&self, proc_sys: &Path) -> Result<Vec<String>, Error> {
        let same = |current: &str, wanted: &str| current == wanted;
        // The kernel prints a list of CPUs its own way: `0,1,2` comes back as `0-2`.
        let same_cpus =
            |current: &str, wanted: &str| cpu_list::parse(current) == cpu_list::parse(wanted);
        let number = self.run.map(|run| u8::from(run).to_string());
        let mut done = Vec::new();
        done.extend(set(proc_sys, "run_estimation", number.as_deref(), same)?);
        let nice = self.nice.map(|nice| nice.to_string());
        done.extend(set(proc_sys, "est_nice", nice.as_deref(), same)?);
        done.extend(set(proc_sys, "est_cpulist", self.cpus.as_deref(), same_cpus)?);
        Ok(done)
    }
}

fn set(
    proc_sys: &Path,
    short: &str,
    wanted: Option<&str>,
    same: impl Fn(&str, &str) -> bool,
) -> Result<Option<String>, Error> {
    let Some(wanted) = wanted else { return Ok(None) };
    let name = format!("net/ipv4/vs/{short}");
    let path = proc_sys.join(&name);
    let current = read(&path, &name)?;
    if same(&current, wanted) {
        return Ok(None);
    }
    write(&path, &name, &current, wanted, "estimation as configured")?;
    Ok(Some(format!("set sysctl {name} = {wanted} (it was {current})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_is_not_even_read() {
        let nowhere = Path::new("/nonexistent");
        assert_eq!(EstimationOptions::default().apply(nowhere).unwrap(), Vec::<String>::new());
        let given = EstimationOptions { run: Some(true), ..EstimationOptions::default() };
        let error = given.apply(nowhere).unwrap_err().to_string();
        assert!(error.contains("net/ipv4/vs/run_estimation"), "{error}");
    }
}
