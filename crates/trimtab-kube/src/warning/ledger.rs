//! The current findings, by source.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use tracing::{info, warn};
use trimtab_core::objects::ObjectName;

use super::board::Board;
use super::note::note;
use super::{Finding, ObjectKind, Regarding, Warning, WarningReason};
use trimtab_metrics as metric;

/// A source of findings: each states all its findings, and withdraws only its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The fields of a Service.
    Service(ObjectName),
    /// The fields of an EndpointSlice.
    Slice(ObjectName),
    /// The annotations of a Node.
    Node(ObjectName),
    /// What a Service requests but cannot get.
    Claims(ObjectName),
    /// The listeners on a Service's health-check node port.
    HealthCheck(ObjectName),
}

/// The current findings. A new warning is logged, counted and posted on the board once; one that is
/// over is removed.
#[derive(Debug, Default)]
pub struct Warnings {
    standing: Mutex<Standing>,
    board: Option<Arc<Board>>,
}

#[derive(Debug, Default)]
struct Standing {
    by_origin: HashMap<Origin, Vec<Warning>>,
    counts: BTreeMap<WarningReason, usize>,
}

impl Warnings {
    /// Without findings. Without a board there are no Events.
    pub fn new(board: Option<Arc<Board>>) -> Self {
        Self { standing: Mutex::default(), board }
    }

    /// Replaces the findings of `origin`.
    pub fn set(&self, origin: &Origin, regarding: impl FnOnce() -> Regarding, found: &[Finding]) {
        let mut standing = self.standing();
        if found.is_empty() && !standing.by_origin.contains_key(origin) {
            return;
        }
        let after = warnings(regarding, found);
        let before = standing.by_origin.remove(origin).unwrap_or_default();
        for warning in before.iter().filter(|warning| !after.contains(warning)) {
            self.end(&mut standing, warning);
        }
        for warning in after.iter().filter(|warning| !before.contains(warning)) {
            self.begin(&mut standing, warning);
        }
        if !after.is_empty() {
            standing.by_origin.insert(origin.clone(), after);
        }
    }

    /// Removes the findings of `origin`.
    pub fn clear(&self, origin: &Origin) {
        let mut standing = self.standing();
        for warning in standing.by_origin.remove(origin).unwrap_or_default() {
            self.end(&mut standing, &warning);
        }
    }

    /// Clears every origin that `keep` rejects.
    pub fn retain(&self, keep: impl Fn(&Origin) -> bool) {
        let mut standing = self.standing();
        let gone: Vec<Origin> =
            standing.by_origin.keys().filter(|origin| !keep(origin)).cloned().collect();
        for origin in gone {
            for warning in standing.by_origin.remove(&origin).unwrap_or_default() {
                self.end(&mut standing, &warning);
            }
        }
    }

    /// How many current warnings there are.
    pub fn count(&self) -> usize {
        self.standing().counts.values().sum()
    }

    /// The current warnings about each of these Services, in the order of the Services.
    pub fn about(&self, services: &[ObjectName]) -> Vec<Vec<Warning>> {
        let places: HashMap<&ObjectName, usize> = services.iter().zip(0..).collect();
        let mut about = vec![Vec::new(); services.len()];
        for warning in self.standing().by_origin.values().flatten() {
            let regarding = &warning.regarding;
            if regarding.kind == ObjectKind::Service
                && let Some(place) = places.get(&regarding.name)
            {
                about[*place].push(warning.clone());
            }
        }
        for warnings in &mut about {
            warnings.sort_unstable_by(|a, b| (a.reason, &a.note).cmp(&(b.reason, &b.note)));
        }
        about
    }

    /// The text of the current warnings, sorted.
    pub fn standing_now(&self) -> Vec<String> {
        let standing = self.standing();
        let mut all: Vec<String> =
            standing.by_origin.values().flatten().map(ToString::to_string).collect();
        all.sort_unstable();
        all
    }

    fn begin(&self, standing: &mut Standing, warning: &Warning) {
        warn!("{warning}");
        metric::problem(warning.reason.as_str());
        let count = standing.counts.entry(warning.reason).or_default();
        *count += 1;
        metric::problems_now(warning.reason.as_str(), *count);
        if let Some(board) = &self.board {
            board.post(warning);
        }
    }

    fn end(&self, standing: &mut Standing, warning: &Warning) {
        info!("resolved: {warning}");
        let count = standing.counts.entry(warning.reason).or_default();
        *count = count.saturating_sub(1);
        metric::problems_now(warning.reason.as_str(), *count);
        if let Some(board) = &self.board {
            board.withdraw(warning);
        }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One warning for each kind of finding.
fn warnings(regarding: impl FnOnce() -> Regarding, found: &[Finding]) -> Vec<Warning> {
    if found.is_empty() {
        return Vec::new();
    }
    let regarding = regarding();
    let mut by_reason: BTreeMap<WarningReason, Vec<&str>> = BTreeMap::new();
    for finding in found {
        by_reason.entry(finding.reason).or_default().push(&finding.message);
    }
    by_reason
        .into_iter()
        .map(|(reason, messages)| Warning {
            regarding: regarding.clone(),
            reason,
            note: note(messages),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::warning::board::Posted;

    fn regarding() -> Regarding {
        let name = ObjectName::new("n", "web");
        Regarding { kind: ObjectKind::Service, name, uid: "1-2-3".into() }
    }

    fn finding(message: &str) -> Finding {
        Finding { reason: WarningReason::InvalidValue, message: message.to_owned() }
    }

    #[test]
    fn each_problem_is_said_once_and_taken_down_when_it_is_over() {
        let board = Arc::new(Board::default());
        let warnings = Warnings::new(Some(Arc::clone(&board)));
        let origin = Origin::Service(ObjectName::new("n", "web"));
        let words = || {
            let posted = board.take().into_iter();
            posted
                .map(|(_, posted)| match posted {
                    Posted::Begin(warning) => format!("+ {}", warning.note),
                    Posted::End => "-".to_owned(),
                })
                .collect::<Vec<_>>()
        };
        for _sync in 0..3 {
            warnings.set(&origin, regarding, &[finding("a"), finding("b")]);
        }
        assert_eq!(words(), ["+ a; b"]);
        assert_eq!(warnings.standing_now(), ["Service n/web: InvalidValue: a; b"]);
        let asked = ["other", "web"].map(|name| ObjectName::new("n", name));
        let about = warnings.about(&asked);
        assert_eq!((warnings.count(), about[0].len(), &*about[1][0].note), (1, 0, "a; b"));
        warnings.set(&origin, regarding, &[finding("b")]);
        let mut both = words();
        both.sort();
        assert_eq!(both, ["+ b", "-"]);
        warnings.set(&origin, regarding, &[]);
        assert_eq!(words(), ["-"]);
        warnings.set(&origin, || panic!("nothing is wrong"), &[]);
        assert!(words().is_empty());
        warnings.set(&origin, regarding, &[finding("a")]);
        warnings.retain(|_| false);
        assert!(words().is_empty(), "over before anybody looked");
        assert!(warnings.standing_now().is_empty());
    }
}
