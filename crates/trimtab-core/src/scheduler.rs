//! How a virtual server chooses among its real servers.

use std::fmt;
use std::str::FromStr;

/// A scheduler of the kernel, by the name of its module `ip_vs_<name>`.
///
/// The kernel's own list is open (a module can add one), so a name it does not know here is kept
/// as [`Scheduler::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum Scheduler {
    /// `rr`: each real server in turn.
    #[default]
    RoundRobin,
    /// `wrr`: each in turn, in proportion to its weight.
    WeightedRoundRobin,
    /// `lc`: the fewest connections.
    LeastConnection,
    /// `wlc`: the fewest connections for its weight.
    WeightedLeastConnection,
    /// `lblc`: one real server per destination address, until it is overloaded.
    LocalityLeastConnection,
    /// `lblcr`: a growing set of real servers per destination address.
    LocalityLeastConnectionReplicated,
    /// `dh`: by hash of the destination address.
    DestinationHashing,
    /// `sh`: by hash of the source address.
    SourceHashing,
    /// `sed`: the shortest expected delay.
    ShortestExpectedDelay,
    /// `nq`: an idle one, else the shortest expected delay.
    NeverQueue,
    /// `fo`: the one with the highest weight.
    WeightedFailover,
    /// `ovf`: the highest weight until it has as many connections as its weight.
    WeightedOverflow,
    /// `mh`: by Maglev hash of the source address.
    MaglevHashing,
    /// `twos`: the better of two chosen at random.
    PowerOfTwo,
    /// A scheduler that this list does not have.
    Other(SchedulerName),
}

const NAMES: [(Scheduler, &str); 14] = [
    (Scheduler::RoundRobin, "rr"),
    (Scheduler::WeightedRoundRobin, "wrr"),
    (Scheduler::LeastConnection, "lc"),
    (Scheduler::WeightedLeastConnection, "wlc"),
    (Scheduler::LocalityLeastConnection, "lblc"),
    (Scheduler::LocalityLeastConnectionReplicated, "lblcr"),
    (Scheduler::DestinationHashing, "dh"),
    (Scheduler::SourceHashing, "sh"),
    (Scheduler::ShortestExpectedDelay, "sed"),
    (Scheduler::NeverQueue, "nq"),
    (Scheduler::WeightedFailover, "fo"),
    (Scheduler::WeightedOverflow, "ovf"),
    (Scheduler::MaglevHashing, "mh"),
    (Scheduler::PowerOfTwo, "twos"),
];

impl Scheduler {
    /// Every scheduler that the kernel's source has.
    pub fn known() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(scheduler, _)| *scheduler)
    }

    /// The kernel's name, such as `rr`.
    pub fn name(&self) -> &str {
        match self {
            Self::Other(name) => name.as_str(),
            known => NAMES.iter().find(|(s, _)| s == known).map_or("", |(_, name)| name),
        }
    }

    /// Whether this is a scheduler of the kernel's own source.
    pub const fn is_known(&self) -> bool {
        !matches!(self, Self::Other(_))
    }
}

impl fmt::Display for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Reads any well-formed name; [`Scheduler::is_known`] tells whether the kernel's source has it.
impl FromStr for Scheduler {
    type Err = BadSchedulerName;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match NAMES.iter().find(|(_, name)| *name == word) {
            Some((scheduler, _)) => Ok(*scheduler),
            None => SchedulerName::new(word).map(Self::Other),
        }
    }
}

/// The longest scheduler name: `IP_VS_SCHEDNAME_MAXLEN` less the final NUL
/// (include/uapi/linux/ip_vs.h).
const NAME_MAX: usize = 15;

/// A scheduler name of at most 15 bytes, kept in place so that a virtual server needs no allocation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchedulerName {
    bytes: [u8; NAME_MAX],
    length: u8,
}

impl SchedulerName {
    /// Checks and keeps `name`.
    ///
    /// # Errors
    /// [`BadSchedulerName`] unless it has 1 to 15 bytes, all of `[A-Za-z0-9_-]`.
    pub fn new(name: &str) -> Result<Self, BadSchedulerName> {
        let well_formed = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        match u8::try_from(name.len()) {
            Ok(length @ 1..=15) if well_formed => {
                let mut bytes = [0; NAME_MAX];
                bytes[..name.len()].copy_from_slice(name.as_bytes());
                Ok(Self { bytes, length })
            }
            _ => Err(BadSchedulerName(name.chars().take(40).collect())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl fmt::Debug for SchedulerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A word that cannot be the name of a scheduler.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} cannot be a scheduler: expected 1 to 15 letters, digits, - or _")]
pub struct BadSchedulerName(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for scheduler in Scheduler::known() {
            assert!(scheduler.is_known());
            assert_eq!(scheduler.name().parse(), Ok(scheduler));
        }
    }

    #[test]
    fn a_strange_name_is_kept_and_a_malformed_one_refused() {
        let strange: Scheduler = "wfq_2".parse().unwrap();
        assert!(!strange.is_known());
        assert_eq!(strange.name(), "wfq_2");
        for malformed in ["", "a name", "sixteen-letters-", "rr\n"] {
            assert!(malformed.parse::<Scheduler>().is_err(), "{malformed:?}");
        }
    }
}
