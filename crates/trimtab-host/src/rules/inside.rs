//! Marks packets of clients inside the cluster, for virtual servers that only they reach.
//!
//! A Service whose externalTrafficPolicy is Local has two virtual servers on one address: that of
//! the address itself, with the endpoints of this node, is for clients outside; one whose frontend
//! is a mark, with all endpoints, is for clients inside, which are pods and this node itself. IPVS
//! looks a mark up before an address, and compares all of its 32 bits. So the first packet of a
//! connection from inside gets the mark that the set has for its destination, and no other bit. If
//! anything goes wrong on the way, the packet reaches the virtual server of its address.
//!
//! `--map-set` works in the mangle table only, and what comes in must be marked between the nat
//! table's PREROUTING and IPVS, what this node sends before the nat table's OUTPUT:
//!
//! * nat PREROUTING (-100): the first packet of a connection from inside gets the gate bit;
//! * mangle INPUT (-150): what has the gate bit gets its mark, without the gate bit;
//! * filter INPUT (0): bits that others have added since are put aside, in the connection's mark;
//! * IPVS (99) in INPUT;
//! * mangle OUTPUT (-150): the first packet of a connection gets its mark, with the gate bit;
//! * nat OUTPUT (-100): the gate bit is cleared, if the packet is from this node;
//! * IPVS (-98) in OUTPUT;
//! * mangle OUTPUT, where what IPVS has translated comes by: the bits put aside come back;
//! * nat POSTROUTING: packets from this node are masqueraded, because their source address may be a
//!   VIP. The mark is cleared, because another program could take it for one of its own.
//!
//! Calico's iptables data plane is one that adds bits: on nodes with `kube-ipvs0` it notes in the filter
//! table's INPUT which pod a packet is from, and applies the pod's policy in OUTPUT. It keeps its jump
//! at the top of INPUT, before ours.
//!
//! The two steps in the nat table begin in KUBE-SERVICES, which kube-proxy writes anew when it
//! takes the node over: from then on no packet has a mark of ours when IPVS sees it, whatever else
//! of ours is left on the node, and no client is sent to stale endpoints.

use trimtab_core::{MarkRange, SetKind};

use super::options::{LocalDetector, RuleOptions, reserved_bits};
use super::rule::{Condition, InterfaceName, Rule, Side, Target, Test};
use super::table::{Chain, DST_DST, Jump, Sets, Table, chain, jump};

/// From KUBE-SERVICES: what a client inside sends to one of these frontends.
const NAT: &str = "TRIMTAB-INSIDE";
const INPUT: &str = "TRIMTAB-INSIDE-IN";
const OUTPUT: &str = "TRIMTAB-INSIDE-OUT";
const ASIDE: &str = "TRIMTAB-INSIDE-ASIDE";

/// The mangle table's part.
pub(super) fn mangle(options: &RuleOptions, sets: Sets) -> Table {
    let gate = options.marks.gate();
    let has_gate = Test::Mark { value: gate, mask: gate };
    let take_mark = Target::MarkOfSet(sets.set(SetKind::Inside), DST_DST);
    let mut input = Vec::new();
    if let LocalDetector::Cidr(net) = &options.local_detector {
        // The network may be that of all pods of the cluster. A packet of a pod on another node to
        // this node's own address arrives on the interface with that address. It is served like one
        // from outside: an endpoint elsewhere would answer the pod directly, which it does not
        // expect. Only a bridge has an address of the pods' network towards its own pods.
        input.push(
            Rule::new(Target::SetMark { value: 0, mask: gate })
                .says("pods of other nodes are outside")
                .unless(Test::Destination(*net))
                .when(has_gate.clone())
                .when(Test::IsLocalToInterface),
        );
    }
    input.push(Rule::new(take_mark.clone()).says("what comes from inside").when(has_gate));
    let others = of_others(options);
    let output = vec![
        Rule::new(Target::RestoreMark(others))
            .says("marks of others come back")
            .when(is_marked(options.marks))
            .unless(Test::ConnectionMark { value: 0, mask: others }),
        Rule::new(take_mark).when(Test::IsNew),
        Rule::new(Target::SetMark { value: gate, mask: gate })
            .when(Test::IsNew)
            .when(sets.has(SetKind::Inside, DST_DST)),
    ];
    Table {
        name: "mangle",
        jumps: vec![
            jump("INPUT", INPUT, "trimtab clients inside the cluster"),
            jump("OUTPUT", OUTPUT, "trimtab clients inside the cluster"),
        ],
        chains: vec![chain(INPUT, input), chain(OUTPUT, output)],
    }
}

/// The bits that others may use: not ours, nor those of masquerading and dropping.
const fn of_others(options: &RuleOptions) -> u32 {
    !(options.marks.bits() | reserved_bits(options.masquerade_bit))
}

/// That a packet has one of our marks and no other bit.
const fn is_marked(marks: MarkRange) -> Test {
    Test::Mark { value: marks.tag(), mask: !marks.free_bits() }
}

/// The filter table's jump, which comes last of ours, and its chain.
pub(super) fn aside(options: &RuleOptions, sets: Sets) -> (Jump, Chain) {
    let marks = options.marks;
    let (tag, others) = (marks.tag(), of_others(options));
    // As for the whole mark, but with bits of others.
    let mixed = [
        Condition { negated: false, test: Test::Mark { value: tag, mask: tag | marks.gate() } },
        Condition { negated: true, test: Test::Mark { value: 0, mask: others } },
        Condition { negated: false, test: sets.has(SetKind::Inside, DST_DST) },
    ];
    let rules = vec![
        Rule::new(Target::SaveMark(others))
            .says("marks of others are put aside")
            .when_all(mixed.clone()),
        Rule::new(Target::SetMark { value: 0, mask: others }).when_all(mixed),
    ];
    (jump("INPUT", ASIDE, "trimtab clients inside the cluster"), chain(ASIDE, rules))
}

/// The nat table's chain. It flips the gate bit: sets it on incoming packets, and clears it on
/// packets of this node, which already have it.
pub(super) fn nat(options: &RuleOptions) -> Chain {
    let flip = Target::SetMark { value: options.marks.gate(), mask: 0 };
    let is_ours = Test::IsLocal(Side::Source);
    let mut rules = vec![Rule::new(flip.clone()).says("sent by this node").when(is_ours.clone())];
    let pods = match &options.local_detector {
        LocalDetector::None => None,
        LocalDetector::Cidr(net) => Some(Test::Source(*net)),
        LocalDetector::Bridge(name) => Some(Test::InInterface(InterfaceName::Is(name.clone()))),
        LocalDetector::InterfacePrefix(prefix) => {
            Some(Test::InInterface(InterfaceName::BeginsWith(prefix.clone())))
        }
    };
    if let Some(pods) = pods {
        rules.push(Rule::new(flip).says("sent by pods").when(pods).unless(is_ours));
    }
    chain(NAT, rules)
}

/// The jump from KUBE-SERVICES.
pub(super) fn rule(sets: Sets) -> Rule {
    Rule::new(Target::Chain(NAT))
        .says("what clients inside see otherwise")
        .when(sets.has(SetKind::Inside, DST_DST))
}

/// The first rules of KUBE-POSTROUTING.
pub(super) fn after(options: &RuleOptions) -> [Rule; 2] {
    let marked = is_marked(options.marks);
    let masquerade = options.masquerade_mark();
    [
        Rule::new(Target::SetMark { value: masquerade, mask: u32::MAX })
            .says("from this node to endpoints for clients inside")
            .when(marked.clone())
            .when(Test::IsLocal(Side::Source)),
        Rule::new(Target::SetMark { value: 0, mask: u32::MAX }).when(marked),
    ]
}
