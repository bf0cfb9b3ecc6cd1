//! Which part of the packet filter a look reads. Each `iptables-save` is a process, and costs more
//! than all the rest of a look; so a look reads a kind of iptables only if it may have changed since
//! the last one, and a kind that does not tell, and that nobody should use, only now and then.

use trimtab_host::nftables;
use trimtab_host::rules::{Backend, RuleSet};
use trimtab_metrics as metric;
use trimtab_netlink::Socket;
use trimtab_reconcile::ports::HostCheck;

use super::leftovers;
use super::packet_filter::PacketFilters;
use crate::error::Error;

/// A kind of iptables that does not tell of changes and that Trimtab does not use is read at every
/// so many looks, and until nothing is found.
const SELDOM: u8 = 10;

/// What the next look reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Due {
    /// Our rules, and what kube-proxy left beside them.
    ours: bool,
    /// The tables of kube-proxy's nftables mode.
    nftables_mode: bool,
    /// What kube-proxy left in the kind of iptables that we do not use.
    other_kind: bool,
}

/// What is known from earlier looks.
#[derive(Debug, Default)]
pub(super) struct FilterLooks {
    /// The generation of nftables in which all was found as it should be.
    good: Option<u32>,
    /// The rules that were wanted then.
    wanted: Vec<RuleSet>,
    /// Whether nothing was found in the other kind when it was last read, nor anywhere since.
    other_is_clean: bool,
    /// Looks until the other kind is read again although it is clean.
    until_other: u8,
}

impl FilterLooks {
    /// What the next look reads, at this generation of nftables if the kernel has one.
    fn due(&self, backend: Option<Backend>, generation: Option<u32>, wanted: &[RuleSet]) -> Due {
        let is_same = generation.is_some() && generation == self.good;
        let has_told = |kind| backend == Some(kind) && generation.is_some();
        let other_kind = if has_told(Backend::Legacy) { !is_same } else { self.until_other == 0 };
        Due {
            ours: !(has_told(Backend::Nft) && is_same && self.wanted == wanted),
            nftables_mode: !is_same,
            other_kind: backend.is_some() && (other_kind || !self.other_is_clean),
        }
    }

    /// Puts right what differs, and removes what kube-proxy wrote.
    pub(super) fn look(
        &mut self,
        filters: PacketFilters,
        ours: &[RuleSet],
        netfilter: &mut Socket,
        check: &mut HostCheck,
    ) {
        // Read first: what changes during the look is then noticed at the next.
        let generation = nftables::generation(netfilter).unwrap_or_else(|error| {
            check.failed.push(error.into());
            None
        });
        let due = self.due(filters.backend(), generation, ours);
        let before = (check.repaired.len(), check.failed.len());
        let mut removed = Vec::new();
        if due.nftables_mode {
            take(check, &mut removed, leftovers::of_nftables_mode(netfilter));
        }
        if due.ours {
            for rules in ours {
                take(check, &mut removed, ensure(filters, rules));
            }
        }
        if due.other_kind {
            take(check, &mut removed, leftovers::of_other_kind(filters));
            self.until_other = SELDOM;
        }
        self.until_other = self.until_other.saturating_sub(1);
        let has_failed = before.1 < check.failed.len();
        // A proxy that writes here may write there, too.
        self.other_is_clean =
            removed.is_empty() && !has_failed && (due.other_kind || self.other_is_clean);
        let is_good = removed.is_empty() && before == (check.repaired.len(), check.failed.len());
        self.good = generation.filter(|_| is_good);
        self.wanted = ours.to_vec();
        // Where nobody looked, nobody is known to be gone.
        let has_all = !has_failed && (self.other_is_clean || filters.backend().is_none());
        check.other_proxy = (has_all || !removed.is_empty()).then_some(removed);
    }
}

/// What a step of a look did: what it put right, and what it removed of another proxy.
#[derive(Default)]
struct Done {
    repaired: Vec<String>,
    removed: Vec<String>,
}

impl From<Vec<String>> for Done {
    fn from(removed: Vec<String>) -> Self {
        Self { removed, ..Self::default() }
    }
}

fn take(check: &mut HostCheck, removed: &mut Vec<String>, outcome: Result<impl Into<Done>, Error>) {
    match outcome.map(Into::into) {
        Ok(Done { repaired, removed: more }) => {
            check.repaired.extend(repaired);
            removed.extend(more);
        }
        Err(error) => check.failed.push(error.into()),
    }
}

/// Puts our rules of a family right and removes what kube-proxy left beside them, with one
/// `iptables-save` as long as nothing is to be done.
fn ensure(filters: PacketFilters, rules: &RuleSet) -> Result<Done, Error> {
    let (filter, family) = (filters.of(rules.family()), rules.family());
    let mut done = Done::default();
    let ensured = filter.save().and_then(|saved| {
        let has_written = filter.ensure_beside(rules, &saved)?;
        Ok(if has_written { (true, filter.save()?) } else { (false, saved) })
    });
    let (has_written, saved) = ensured.inspect_err(|_| metric::rules_failed(family))?;
    if has_written {
        done.repaired.push(format!("wrote the {family} packet-filter rules"));
    }
    done.removed.extend(leftovers::beside(filters, rules, &saved)?);
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_a_good_look(until_other: u8) -> FilterLooks {
        FilterLooks { good: Some(7), wanted: Vec::new(), other_is_clean: true, until_other }
    }

    fn due(looks: &FilterLooks, backend: Option<Backend>, generation: Option<u32>) -> [bool; 3] {
        let due = looks.due(backend, generation, &[]);
        [due.ours, due.nftables_mode, due.other_kind]
    }

    #[test]
    fn the_first_look_reads_everything() {
        let looks = FilterLooks::default();
        for backend in Backend::ALL {
            assert_eq!(due(&looks, Some(backend), Some(7)), [true; 3], "{backend}");
        }
        assert_eq!(due(&looks, None, None), [true, true, false]);
    }

    #[test]
    fn what_nftables_says_is_unchanged_is_not_read() {
        let looks = after_a_good_look(5);
        assert_eq!(due(&looks, Some(Backend::Nft), Some(7)), [false, false, false]);
        assert_eq!(due(&looks, Some(Backend::Nft), Some(8)), [true, true, false]);
        assert_eq!(due(&looks, Some(Backend::Legacy), Some(7)), [true, false, false]);
        assert_eq!(due(&looks, Some(Backend::Legacy), Some(8)), [true, true, true]);
        // A kernel that cannot tell.
        assert_eq!(due(&looks, Some(Backend::Nft), None), [true, true, false]);
        assert_eq!(due(&looks, None, Some(7)), [true, false, false]);
    }

    #[test]
    fn the_kind_that_does_not_tell_is_read_now_and_then() {
        let looks = after_a_good_look(0);
        assert_eq!(due(&looks, Some(Backend::Nft), Some(7)), [false, false, true]);
        // Until nothing is found.
        let looks = FilterLooks { other_is_clean: false, ..after_a_good_look(5) };
        for backend in Backend::ALL {
            assert!(due(&looks, Some(backend), Some(7))[2], "{backend}");
        }
    }
}
