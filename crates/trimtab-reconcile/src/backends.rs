//! Which endpoints of a Service port answer.
//!
//! The endpoints of one (port name, protocol, family) are kept with running counts, so that a
//! changed endpoint is decided by itself: only when the *kind* of selection changes (the last ready
//! one left, every one now has a hint) are the others looked at again.

mod endpoint_state;
mod selection;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use trimtab_core::RealServerKey;

pub(crate) use endpoint_state::EndpointState;
pub(crate) use selection::{Selection, Tally};

use crate::explanation::Topology;
use crate::hints::HintTable;

/// The endpoints of one Service port in one family.
#[derive(Debug, Default)]
pub(crate) struct Backends {
    candidates: HashMap<RealServerKey, Candidate>,
    tally: Tally,
}

/// What the slices say about one address and port: usually one of them, once.
#[derive(Debug)]
enum Candidate {
    One(EndpointState),
    Several(Box<Statements>),
}

/// More than one statement about an endpoint: rare, so its room is elsewhere.
#[derive(Debug)]
struct Statements {
    all: Vec<EndpointState>,
}

impl Candidate {
    /// Of several statements about one endpoint the one that speaks most for it counts.
    fn resolved(&self) -> EndpointState {
        match self {
            Self::One(state) => *state,
            Self::Several(several) => several.all.iter().copied().max().unwrap_or_default(),
        }
    }
}

impl Backends {
    /// Every endpoint, whether or not it is selected.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (RealServerKey, EndpointState)> + '_ {
        self.candidates.iter().map(|(key, candidate)| (*key, candidate.resolved()))
    }

    pub(crate) fn get(&self, key: &RealServerKey) -> Option<EndpointState> {
        self.candidates.get(key).map(Candidate::resolved)
    }

    /// How endpoints are selected now, for each policy.
    pub(crate) fn selection(&self) -> Selection {
        self.tally.selection()
    }

    /// What topology hints come to.
    pub(crate) fn topology(&self) -> Topology {
        self.tally.topology()
    }

    /// Adds one slice's statement about an endpoint.
    pub(crate) fn insert(&mut self, key: RealServerKey, state: EndpointState, hints: &HintTable) {
        match self.candidates.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(Candidate::One(state));
                self.tally.add(state, hints);
            }
            Entry::Occupied(mut occupied) => {
                let candidate = occupied.get_mut();
                let before = candidate.resolved();
                match candidate {
                    Candidate::One(first) => {
                        let all = vec![*first, state];
                        *candidate = Candidate::Several(Box::new(Statements { all }));
                    }
                    Candidate::Several(several) => several.all.push(state),
                }
                let after = candidate.resolved();
                self.tally.remove(before, hints);
                self.tally.add(after, hints);
            }
        }
    }

    /// Takes one slice's statement about an endpoint back.
    pub(crate) fn remove(&mut self, key: RealServerKey, state: EndpointState, hints: &HintTable) {
        let Entry::Occupied(mut occupied) = self.candidates.entry(key) else { return };
        let before = occupied.get().resolved();
        self.tally.remove(before, hints);
        let remaining = match occupied.get_mut() {
            Candidate::One(_) => None,
            Candidate::Several(several) => {
                let all = &mut several.all;
                if let Some(at) = all.iter().position(|one| *one == state) {
                    all.swap_remove(at);
                }
                match all.as_slice() {
                    [] => None,
                    [last] => Some(Candidate::One(*last)),
                    _ => {
                        let all = std::mem::take(all);
                        Some(Candidate::Several(Box::new(Statements { all })))
                    }
                }
            }
        };
        match remaining {
            None => {
                occupied.remove();
            }
            Some(candidate) => {
                self.tally.add(candidate.resolved(), hints);
                *occupied.get_mut() = candidate;
            }
        }
    }

    /// Counts again after the meaning of hints changed.
    pub(crate) fn recount(&mut self, hints: &HintTable) {
        let mut tally = Tally::default();
        for (_, state) in self.iter() {
            tally.add(state, hints);
        }
        self.tally = tally;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trimtab_core::objects::{Conditions, Hints, TrafficPolicy};

    fn key(last: u8) -> RealServerKey {
        RealServerKey::new(std::net::IpAddr::from([10, 0, 0, last]), 80)
    }

    /// `R`eady, `S`erving, `T`erminating, `L`ocal.
    fn state(letters: &str) -> EndpointState {
        let has = |letter| letters.contains(letter);
        let conditions = Conditions { ready: has('R'), serving: has('S'), terminating: has('T') };
        EndpointState::new(conditions, has('L'))
    }

    fn selected(backends: &Backends, hints: &HintTable, policy: TrafficPolicy) -> Vec<u8> {
        let selection = backends.selection();
        let mut found: Vec<u8> = backends
            .iter()
            .filter(|(_, state)| selection.admits(policy, *state, hints))
            .map(|(key, _)| match key.address {
                std::net::IpAddr::V4(v4) => v4.octets()[3],
                std::net::IpAddr::V6(_) => 0,
            })
            .collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn ready_endpoints_are_preferred_and_serving_terminating_ones_are_the_fallback() {
        let hints = HintTable::new("here");
        let mut backends = Backends::default();
        backends.insert(key(1), state("RS"), &hints);
        backends.insert(key(2), state("STL"), &hints);
        backends.insert(key(3), state("TL"), &hints);
        backends.insert(key(4), state("SL"), &hints);
        assert_eq!(selected(&backends, &hints, TrafficPolicy::Cluster), [1]);
        assert_eq!(selected(&backends, &hints, TrafficPolicy::Local), [2]);
        backends.remove(key(1), state("RS"), &hints);
        assert_eq!(selected(&backends, &hints, TrafficPolicy::Cluster), [2]);
        backends.remove(key(2), state("STL"), &hints);
        assert!(selected(&backends, &hints, TrafficPolicy::Cluster).is_empty());
        assert!(selected(&backends, &hints, TrafficPolicy::Local).is_empty());
    }

    #[test]
    fn of_two_statements_about_an_endpoint_the_one_not_terminating_wins() {
        let hints = HintTable::new("here");
        let (leaving, ready) = (state("ST"), state("RS"));
        for order in [[leaving, ready], [ready, leaving]] {
            let mut backends = Backends::default();
            for state in order {
                backends.insert(key(1), state, &hints);
            }
            assert_eq!(backends.get(&key(1)), Some(ready));
            backends.remove(key(1), ready, &hints);
            assert_eq!(backends.get(&key(1)), Some(leaving));
            assert_eq!(selected(&backends, &hints, TrafficPolicy::Cluster), [1]);
            backends.remove(key(1), leaving, &hints);
            assert!(backends.candidates.is_empty());
        }
    }

    #[test]
    fn hints_count_only_when_every_ready_endpoint_has_them_and_one_is_meant_for_here() {
        let mut hints = HintTable::new("here");
        hints.set_zone(Some("a"));
        let zone = |hints: &mut HintTable, zone: &str| {
            let id = hints.intern(&Hints { zones: vec![zone.into()], nodes: vec![] });
            state("RS").with_hints(id)
        };
        let (in_a, in_b) = (zone(&mut hints, "a"), zone(&mut hints, "b"));
        let mut backends = Backends::default();
        backends.insert(key(1), in_a, &hints);
        backends.insert(key(2), in_b, &hints);
        assert_eq!(selected(&backends, &hints, TrafficPolicy::Cluster), [1]);
        // One without a hint: hints are not to be trusted.
        let plain = state("RS");
        backends.insert(key(3), plain, &hints);
        assert_eq!(selected(&backends, &hints, TrafficPolicy::Cluster), [1, 2, 3]);
        backends.remove(key(3), plain, &hints);
        // Another zone for the node.
        hints.set_zone(Some("b"));
        backends.recount(&hints);
        assert_eq!(selected(&backends, &hints, TrafficPolicy::Cluster), [2]);
        hints.set_zone(Some("c"));
        backends.recount(&hints);
        assert_eq!(selected(&backends, &hints, TrafficPolicy::Cluster), [1, 2]);
        // Node hints go before zone hints.
        let for_node = |hints: &mut HintTable, node: &str| {
            let id = hints.intern(&Hints { zones: vec!["c".into()], nodes: vec![node.into()] });
            state("RS").with_hints(id)
        };
        let (here, there) = (for_node(&mut hints, "here"), for_node(&mut hints, "there"));
        let mut backends = Backends::default();
        backends.insert(key(4), here, &hints);
        backends.insert(key(5), there, &hints);
        assert_eq!(selected(&backends, &hints, TrafficPolicy::Cluster), [4]);
        backends.remove(key(4), here, &hints);
        assert_eq!(selected(&backends, &hints, TrafficPolicy::Cluster), [5]);
    }
}
