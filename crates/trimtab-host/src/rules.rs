//! The packet-filter rules: a constant set whose size does not depend on the number of Services.
//!
//! The chains, jumps and marks are those of kube-proxy's IPVS mode. Where it writes a rule only
//! while the ipset that the rule matches has an element, the rule is always here: matching an empty
//! set, it does nothing. So the rules change when options change, and never with a Service.
//!
//! [`RuleSet`] is the rules as a value, made of [`Rule`]s that `trimtab trace` follows a packet
//! through; what is to be done about what `iptables-save` printed is
//! decided without side effects by [`RuleSet::difference`] and [`RuleSet::removal`].
//! [`PacketFilter`] runs the programs, which are the only ones that this crate ever starts.

mod backend;
mod content;
mod difference;
mod inside;
mod leftover;
mod monitor;
mod options;
mod program;
mod rule;
mod rule_set;
mod saved;
mod settings;
mod syntax;
mod table;

pub use backend::{Backend, Choice, Survey, choose};
pub use monitor::RuleMonitor;
pub use options::{LocalDetector, RuleOptions, reserved_bits};
pub use program::PacketFilter;
pub use rule::{Condition, InterfaceName, Rule, Side, Target, Test};
pub use rule_set::{RuleSet, kube_proxy_removal, removed_objects};
pub use settings::{DetectLocal, RuleSettings};
pub use table::{Chain, Jump, Table};
