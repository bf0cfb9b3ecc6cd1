//! Takes a packet through the rules of one table at one hook.

use trimtab_core::SetElement;
use trimtab_host::rules::{Rule, Table, Target};

use crate::passing::Passing;
use crate::step::{Effect, Hook, RuleStep, Step, is_telling};
use crate::words;

/// What a table makes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on, perhaps with another mark.
    Passes,
    /// It is dropped.
    Dropped,
    /// It is dropped, and the sender is told.
    Rejected,
    /// It goes on with an address of this node as its source.
    Masqueraded,
}

/// What a chain makes of a packet.
enum Flow {
    Returns,
    Ends(Verdict),
}

/// Takes a packet through our rules of `table` at `hook`.
pub(crate) fn pass(
    passing: &mut Passing<'_>,
    hook: Hook,
    table: &str,
    steps: &mut Vec<Step>,
) -> Verdict {
    let node = passing.node;
    let Some(table) = node.rules.tables().iter().find(|it| it.name == table) else {
        return Verdict::Passes;
    };
    for jump in table.jumps.iter().filter(|jump| jump.from == hook.name()) {
        if let Flow::Ends(verdict) = chain(passing, hook, table, jump.to, steps) {
            return verdict;
        }
    }
    Verdict::Passes
}

fn chain(
    passing: &mut Passing<'_>,
    hook: Hook,
    table: &Table,
    name: &'static str,
    steps: &mut Vec<Step>,
) -> Flow {
    let Some(chain) = table.chains.iter().find(|chain| chain.name == name) else {
        return Flow::Returns;
    };
    for (number, rule) in (1..).zip(&chain.rules) {
        if !rule.conditions.iter().all(|condition| passing.meets(condition)) {
            continue;
        }
        let Some(effect) = effect(passing, rule) else { continue };
        let told = rule.conditions.iter().filter(|condition| is_telling(condition));
        let because = told.map(|condition| words::condition(passing, condition)).collect();
        act(passing, &effect);
        steps.push(Step::Rule(Box::new(RuleStep {
            table: table.name,
            hook,
            chain: chain.name,
            number,
            rule: rule.clone(),
            because,
            effect: effect.clone(),
        })));
        let flow = match effect {
            Effect::GoesTo(to) => self::chain(passing, hook, table, to, steps),
            Effect::Returns => return Flow::Returns,
            Effect::Accepted => Flow::Ends(Verdict::Passes),
            Effect::Dropped => Flow::Ends(Verdict::Dropped),
            Effect::Rejected => Flow::Ends(Verdict::Rejected),
            Effect::Masqueraded => Flow::Ends(Verdict::Masqueraded),
            Effect::Marked { .. } | Effect::ConnectionMarked { .. } => Flow::Returns,
        };
        if let Flow::Ends(_) = flow {
            return flow;
        }
    }
    Flow::Returns
}

/// What a rule that applies does; `None` for a mark that stays as it is.
fn effect(passing: &Passing<'_>, rule: &Rule) -> Option<Effect> {
    let marked = |after: u32, by: Option<SetElement>| {
        let before = passing.mark;
        (after != before).then_some(Effect::Marked { before, after, by })
    };
    match &rule.target {
        Target::Chain(name) => Some(Effect::GoesTo(name)),
        Target::Return => Some(Effect::Returns),
        Target::Accept => Some(Effect::Accepted),
        Target::Drop => Some(Effect::Dropped),
        Target::Reject(_) => Some(Effect::Rejected),
        Target::Masquerade { .. } => Some(Effect::Masqueraded),
        Target::SetMark { value, mask } => marked((passing.mark & !mask) ^ value, None),
        // Without a mask of its own, an element's mark replaces all bits (xt_set.c, set_target_v3).
        Target::MarkOfSet(set, sides) => match passing.element(*set, sides)? {
            by @ SetElement::IpPortMark(.., mark) => marked(mark, Some(by)),
            _ => None,
        },
        Target::RestoreMark(bits) => {
            marked((passing.mark & !bits) ^ (passing.connection_mark & bits), None)
        }
        Target::SaveMark(bits) => {
            let before = passing.connection_mark;
            let after = (before & !bits) ^ (passing.mark & bits);
            (after != before).then_some(Effect::ConnectionMarked { before, after })
        }
    }
}

const fn act(passing: &mut Passing<'_>, effect: &Effect) {
    match effect {
        Effect::Marked { after, .. } => passing.mark = *after,
        Effect::ConnectionMarked { after, .. } => passing.connection_mark = *after,
        _ => {}
    }
}
