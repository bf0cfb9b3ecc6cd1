//! Results of health checks, for `/metrics/slis`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use trimtab_metrics::sli::{self, Check, Results};

use crate::health::Health;

const PROBES: [&str; 3] = ["healthz", "livez", "readyz"];

/// How often each check succeeded and failed when its probe was answered.
#[derive(Debug, Default)]
pub struct Slis(Mutex<BTreeMap<Check, (u64, u64)>>);

impl Slis {
    /// A probe is answered.
    pub(super) fn count(&self, probe: &'static str, health: &Health) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, succeeds) in health.checks(probe) {
            let (successes, errors) = counts.entry(Check { name, probe }).or_default();
            *(if succeeds { successes } else { errors }) += 1;
        }
    }

    /// The text of `/metrics/slis`.
    pub(super) fn text(&self, health: &Health) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::new();
        for probe in PROBES {
            for (name, now) in health.checks(probe) {
                let check = Check { name, probe };
                let (successes, errors) = counts.get(&check).copied().unwrap_or_default();
                all.push((check, Results { now, successes, errors }));
            }
        }
        sli::write(&all)
    }
}
