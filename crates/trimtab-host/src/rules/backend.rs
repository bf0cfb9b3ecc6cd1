//! Which of the two kinds of iptables has the node's rules.
//!
//! The rules of one kind are invisible to the programs of the other, and packets see both. So all
//! programs on a node must use the same kind: the one that its kubelet and its CNI plug-in use.

use std::fmt;

use trimtab_core::Family;

use super::PacketFilter;

/// Chains that the kubelet creates, so that other programs can detect which kind it uses.
const KUBELET: [&str; 2] = ["KUBE-IPTABLES-HINT", "KUBE-KUBELET-CANARY"];

/// A kind of iptables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Backend {
    /// Its rules are in the kernel's nftables.
    Nft,
    /// Its rules are in tables of its own.
    Legacy,
}

impl Backend {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Nft, Self::Legacy];

    /// As in the names of its programs, such as `iptables-nft-save`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nft => "nft",
            Self::Legacy => "legacy",
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Nft => Self::Legacy,
            Self::Legacy => Self::Nft,
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What one kind of iptables has, of both families.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// How many rules.
    pub rules: usize,
    /// Whether one of the kubelet's chains exists.
    pub kubelet: bool,
}

impl Survey {
    /// Runs the programs that print the rules; `None` if there are none of this kind.
    pub fn take(backend: Backend) -> Option<Self> {
        let mut survey = None;
        for family in Family::ALL {
            match PacketFilter::of(Some(backend), family).save() {
                Ok(saved) => survey.get_or_insert_with(Self::default).add(&saved),
                Err(error) if error.is_no_program() => {}
                // A program that fails at least exists; its error is reported when it is used.
                Err(_) => survey = survey.or(Some(Self::default())),
            }
        }
        survey
    }

    fn add(&mut self, saved: &str) {
        for line in saved.lines().map(str::trim_start) {
            if let Some(chain) = line.strip_prefix(':') {
                self.kubelet |= KUBELET.iter().any(|name| chain.split(' ').next() == Some(name));
            } else {
                // With or without counters in front.
                self.rules += usize::from(line.starts_with("-A ") || line.contains("] -A "));
            }
        }
    }
}

/// The kind to use, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The kind; `None` for programs without a kind in their name, `iptables-save` and so on.
    pub backend: Option<Backend>,
    /// The reason, for the log.
    pub why: String,
}

/// Chooses like other projects do: the kind that has the kubelet's chains, else the one with more
/// rules, else nft. A kind without programs is `None`.
pub fn choose(nft: Option<Survey>, legacy: Option<Survey>) -> Choice {
    let choice = |backend, why: String| Choice { backend, why };
    let (nft, legacy) = match (nft, legacy) {
        (None, None) => {
            return choice(
                None,
                "no iptables-nft or iptables-legacy programs are \
                installed"
                    .to_owned(),
            );
        }
        (Some(_), None) => {
            return choice(Some(Backend::Nft), "iptables-legacy is not installed".to_owned());
        }
        (None, Some(_)) => {
            return choice(Some(Backend::Legacy), "iptables-nft is not installed".to_owned());
        }
        (Some(nft), Some(legacy)) => (nft, legacy),
    };
    match (nft.kubelet, legacy.kubelet) {
        (true, false) => choice(Some(Backend::Nft), "the kubelet uses it".to_owned()),
        (false, true) => choice(Some(Backend::Legacy), "the kubelet uses it".to_owned()),
        _ => {
            let backend = if legacy.rules > nft.rules { Backend::Legacy } else { Backend::Nft };
            choice(Some(backend), format!("nft has {} rules, legacy {}", nft.rules, legacy.rules))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(saved: &str) -> Survey {
        let mut survey = Survey::default();
        survey.add(saved);
        survey
    }

    const TWO_RULES: &str = "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j MINE\n\
                             [1:60] -A MINE -j RETURN\nCOMMIT\n";
    const KUBELET_CHAIN: &str = "*mangle\n:KUBE-IPTABLES-HINT - [0:0]\nCOMMIT\n";

    #[test]
    fn rules_are_counted_and_the_kubelets_chains_are_found() {
        assert_eq!(survey(TWO_RULES), Survey { rules: 2, kubelet: false });
        assert_eq!(survey(KUBELET_CHAIN), Survey { rules: 0, kubelet: true });
        assert!(survey("*nat\n:KUBE-KUBELET-CANARY - [0:0]\n").kubelet);
        assert!(!survey("*nat\n:KUBE-KUBELET-CANARY-2 - [0:0]\n:KUBE-SERVICES - [0:0]").kubelet);
    }

    #[test]
    fn the_kubelets_chains_go_before_the_number_of_rules_and_that_before_nft() {
        let (none, two) = (Survey::default(), survey(TWO_RULES));
        let kubelet = survey(KUBELET_CHAIN);
        for (nft, legacy, wanted) in [
            (Some(none), Some(none), Some(Backend::Nft)),
            (Some(none), Some(two), Some(Backend::Legacy)),
            (Some(two), Some(two), Some(Backend::Nft)),
            (Some(two), Some(kubelet), Some(Backend::Legacy)),
            (Some(kubelet), Some(two), Some(Backend::Nft)),
            (Some(kubelet), Some(kubelet), Some(Backend::Nft)),
            (None, Some(none), Some(Backend::Legacy)),
            (Some(none), None, Some(Backend::Nft)),
            (None, None, None),
        ] {
            let choice = choose(nft, legacy);
            assert_eq!(choice.backend, wanted, "{nft:?} {legacy:?}: {}", choice.why);
        }
    }
}
