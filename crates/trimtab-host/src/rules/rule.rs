//! A rule as a value, printed as `iptables-save` prints it.
//!
//! Only what our rules need exists here: whoever interprets them, such as `trimtab trace`, has a
//! case for everything that a rule can say.

use std::fmt;

use ipnet::IpNet;
use trimtab_core::{Family, Protocol, SetId};

/// What a packet must be like, and what becomes of it then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// All of them must hold.
    pub conditions: Vec<Condition>,
    /// What it is for, in words; no packet sees it.
    pub comment: Option<&'static str>,
    /// What becomes of a packet for which they hold.
    pub target: Target,
}

impl Rule {
    /// A rule for every packet.
    pub(super) const fn new(target: Target) -> Self {
        Self { conditions: Vec::new(), comment: None, target }
    }

    /// With a comment.
    pub(super) const fn says(mut self, comment: &'static str) -> Self {
        self.comment = Some(comment);
        self
    }

    /// With one condition more.
    pub(super) fn when(mut self, test: Test) -> Self {
        self.conditions.push(Condition { negated: false, test });
        self
    }

    /// With the contrary of one condition more.
    pub(super) fn unless(mut self, test: Test) -> Self {
        self.conditions.push(Condition { negated: true, test });
        self
    }

    /// With these conditions more.
    pub(super) fn when_all(mut self, conditions: impl IntoIterator<Item = Condition>) -> Self {
        self.conditions.extend(conditions);
        self
    }
}

/// One condition of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Whether the contrary must hold.
    pub negated: bool,
    /// What is tested.
    pub test: Test,
}

/// What a rule can test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// The source address is in this network.
    Source(IpNet),
    /// The destination address is in this network.
    Destination(IpNet),
    /// The packet came in by this interface.
    InInterface(InterfaceName),
    /// The packet has this protocol.
    Protocol(Protocol),
    /// What the packet has at these sides, such as destination address and destination port, is in
    /// a set.
    InSet(SetId, &'static [Side]),
    /// The address at this side is one of this node.
    IsLocal(Side),
    /// The destination address is one of the interface by which the packet came in.
    IsLocalToInterface,
    /// The packet's mark, as far as the mask reaches, is this.
    Mark {
        /// What is left of the mark.
        value: u32,
        /// The bits that count.
        mask: u32,
    },
    /// As [`Test::Mark`], for the mark of the packet's connection.
    ConnectionMark {
        /// What is left of the mark.
        value: u32,
        /// The bits that count.
        mask: u32,
    },
    /// The packet's connection is new: no packet has come back yet.
    IsNew,
    /// The packet belongs to a connection that packets have come back on, or is related to one.
    IsEstablished,
}

impl Test {
    /// Whether it stands before the matches that have a name.
    const fn is_in_header(&self) -> bool {
        matches!(
            self,
            Self::Source(_) | Self::Destination(_) | Self::InInterface(_) | Self::Protocol(_)
        )
    }
}

/// The names of interfaces that a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterfaceName {
    /// This one.
    Is(String),
    /// Those that begin so.
    BeginsWith(String),
}

/// A side of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Its source: an address, or a port.
    Source,
    /// Its destination.
    Destination,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// It goes through this chain of ours, and comes back unless a rule there decides.
    Chain(&'static str),
    /// It leaves the chain.
    Return,
    /// It leaves the table.
    Accept,
    /// It is dropped without a word.
    Drop,
    /// It is dropped, and the sender is told that nobody is at the port.
    Reject(Family),
    /// Its mark loses the bits of the mask, and then those of the value are flipped.
    SetMark {
        /// The bits to be flipped.
        value: u32,
        /// The bits to be cleared before that.
        mask: u32,
    },
    /// It gets the mark that a set has with the element that it matches, if there is one.
    MarkOfSet(SetId, &'static [Side]),
    /// These bits of its mark are kept in the mark of its connection.
    SaveMark(u32),
    /// These bits of its mark become those of the mark of its connection.
    RestoreMark(u32),
    /// Its source becomes an address of this node.
    Masquerade {
        /// Whether the source port is chosen at random.
        random_fully: bool,
    },
}

/// What stands behind `-A CHAIN`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (header, matches): (Vec<_>, Vec<_>) =
            self.conditions.iter().partition(|condition| condition.test.is_in_header());
        for condition in header {
            write!(f, "{condition} ")?;
        }
        if let Some(comment) = self.comment {
            write!(f, "-m comment --comment \"{comment}\" ")?;
        }
        for condition in matches {
            write!(f, "{condition} ")?;
        }
        write!(f, "-j {}", self.target)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = if self.negated { "! " } else { "" };
        match &self.test {
            Test::Source(net) => write!(f, "{not}-s {net}"),
            Test::Destination(net) => write!(f, "{not}-d {net}"),
            Test::InInterface(name) => write!(f, "{not}-i {name}"),
            Test::Protocol(protocol) => write!(f, "{not}-p {}", protocol.lower()),
            Test::InSet(set, sides) => {
                write!(f, "-m set {not}--match-set {set} {}", words(sides))
            }
            Test::IsLocal(Side::Source) => write!(f, "-m addrtype {not}--src-type LOCAL"),
            Test::IsLocal(Side::Destination) => write!(f, "-m addrtype {not}--dst-type LOCAL"),
            Test::IsLocalToInterface => {
                write!(f, "-m addrtype {not}--dst-type LOCAL --limit-iface-in")
            }
            Test::Mark { value, mask } => write!(f, "-m mark {not}--mark {value:#x}/{mask:#x}"),
            Test::ConnectionMark { value, mask } => {
                write!(f, "-m connmark {not}--mark {value:#x}/{mask:#x}")
            }
            Test::IsNew => write!(f, "-m conntrack {not}--ctstate NEW"),
            Test::IsEstablished => write!(f, "-m conntrack {not}--ctstate RELATED,ESTABLISHED"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain(name) => f.write_str(name),
            Self::Return => f.write_str("RETURN"),
            Self::Accept => f.write_str("ACCEPT"),
            Self::Drop => f.write_str("DROP"),
            Self::Reject(Family::V4) => f.write_str("REJECT --reject-with icmp-port-unreachable"),
            Self::Reject(Family::V6) => f.write_str("REJECT --reject-with icmp6-port-unreachable"),
            Self::SetMark { value, mask } => write!(f, "MARK --set-xmark {value:#x}/{mask:#x}"),
            Self::MarkOfSet(set, sides) => {
                write!(f, "SET --map-set {set} {} --map-mark", words(sides))
            }
            Self::SaveMark(mask) => {
                write!(f, "CONNMARK --save-mark --nfmask {mask:#x} --ctmask {mask:#x}")
            }
            Self::RestoreMark(mask) => {
                write!(f, "CONNMARK --restore-mark --nfmask {mask:#x} --ctmask {mask:#x}")
            }
            Self::Masquerade { random_fully: false } => f.write_str("MASQUERADE"),
            Self::Masquerade { random_fully: true } => f.write_str("MASQUERADE --random-fully"),
        }
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(name) => f.write_str(name),
            Self::BeginsWith(prefix) => write!(f, "{prefix}+"),
        }
    }
}

fn words(sides: &[Side]) -> String {
    let word = |side: &Side| match side {
        Side::Source => "src",
        Side::Destination => "dst",
    };
    sides.iter().map(word).collect::<Vec<_>>().join(",")
}
