//! A normal form of printed rules, in which two equivalent rules are equal.
//!
//! Versions and variants of `iptables-save` differ in how they print a rule: where protocol and
//! comment stand, whether a match without options is named, marks as `--or-mark` or `--set-xmark`,
//! numbers in decimal or hexadecimal, addresses with or without the length of their prefix.

use std::net::IpAddr;

use ipnet::IpNet;

/// A rule, without its chain.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct PrintedRule {
    /// Addresses, interfaces, protocol; sorted.
    header: Vec<Clause>,
    /// Matches with their options, sorted: all must hold, whatever their order.
    matches: Vec<(String, Vec<Clause>)>,
    target: Option<Target>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Clause {
    name: String,
    negated: bool,
    values: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    name: String,
    goto: bool,
    options: Vec<Clause>,
}

impl PrintedRule {
    /// Parses the text after `-A CHAIN`. Any text gives a rule: unknown parts are kept as they are,
    /// so that such a rule differs from ours.
    pub(super) fn parse(text: &str) -> Self {
        let mut rule = Self::default();
        let mut last = Part::Header;
        let mut negated = false;
        let mut words = words(text).into_iter().peekable();
        while let Some(word) = words.next() {
            if word.is("!") {
                negated = true;
                continue;
            }
            let name = word.text;
            // A comment may look like an option; it is always one word.
            let most = if name == "--comment" { 1 } else { usize::MAX };
            let mut values = Vec::new();
            while values.len() < most
                && let Some(value) = words.next_if(|next| most == 1 || !next.begins_option())
            {
                values.push(value.text);
            }
            let mut first = || if values.is_empty() { String::new() } else { values.remove(0) };
            match name.as_str() {
                "-m" | "--match" => {
                    last = Part::Match;
                    rule.matches.push((first(), Vec::new()));
                }
                "-j" | "--jump" | "-g" | "--goto" => {
                    last = Part::Target;
                    let goto = matches!(name.as_str(), "-g" | "--goto");
                    rule.target = Some(Target { name: first(), goto, options: Vec::new() });
                }
                _ => rule.add(last, Clause { name, negated, values }),
            }
            negated = false;
        }
        rule.normalise();
        rule
    }

    /// The rule without its comment, which no packet sees.
    pub(super) fn uncommented(mut self) -> Self {
        self.matches.retain(|(name, _)| name != "comment");
        self
    }

    /// The chain or the verdict that the rule leads to.
    pub(super) fn target(&self) -> Option<&str> {
        self.target.as_ref().map(|target| target.name.as_str())
    }

    /// Whether the rule holds for every packet: it has no condition, though perhaps a comment.
    pub(super) fn is_unconditional(&self) -> bool {
        self.header.is_empty() && self.matches.iter().all(|(name, _)| name == "comment")
    }

    /// Whether the rule holds for the first packet of every connection and has no other condition.
    pub(super) fn holds_for_new_connections(&self) -> bool {
        let is_new = |clauses: &[Clause]| {
            matches!(clauses, [only] if !only.negated
                && matches!(only.name.as_str(), "--ctstate" | "--state") && only.values == ["NEW"])
        };
        self.header.is_empty()
            && self.matches.iter().all(|(name, clauses)| match name.as_str() {
                "comment" => true,
                "conntrack" | "state" => is_new(clauses),
                _ => false,
            })
    }

    /// Puts an option where it belongs: to the match or target named last, unless it is one of the
    /// header's, which may stand anywhere.
    fn add(&mut self, last: Part, mut clause: Clause) {
        let short = match clause.name.as_str() {
            "-s" | "--source" | "--src" => "-s",
            "-d" | "--destination" | "--dst" => "-d",
            "-i" | "--in-interface" => "-i",
            "-o" | "--out-interface" => "-o",
            "-p" | "--protocol" | "--proto" => "-p",
            _ => {
                let clauses = match last {
                    Part::Match => self.matches.last_mut().map(|(_, clauses)| clauses),
                    Part::Target => self.target.as_mut().map(|target| &mut target.options),
                    Part::Header => None,
                };
                clauses.unwrap_or(&mut self.header).push(clause);
                return;
            }
        };
        short.clone_into(&mut clause.name);
        self.header.push(clause);
    }

    fn normalise(&mut self) {
        for option in &mut self.header {
            let Some(value) = option.values.first_mut() else { continue };
            match option.name.as_str() {
                "-s" | "-d" => *value = network(value),
                "-p" => *value = protocol(value),
                _ => {}
            }
        }
        // 0.0.0.0/0 is no condition.
        self.header.retain(|option| {
            option.negated
                || !matches!(option.name.as_str(), "-s" | "-d")
                || !option.values.first().is_some_and(|net| net.ends_with("/0"))
        });
        self.header.sort();
        for (_, options) in &mut self.matches {
            for option in options.iter_mut() {
                match (option.name.as_str(), option.values.first_mut()) {
                    ("--mark", Some(value)) => *value = mark(value, u32::MAX),
                    ("--ctstate" | "--state", Some(value)) => *value = sorted(value),
                    _ => {}
                }
            }
            options.sort();
        }
        // `-p tcp` used to bring `-m tcp` with it.
        self.matches.retain(|(name, options)| {
            !(options.is_empty() && matches!(name.as_str(), "tcp" | "udp" | "sctp"))
        });
        self.matches.sort();
        if let Some(target) = &mut self.target {
            if target.name == "MARK" {
                target.options.iter_mut().for_each(set_mark);
            }
            target.options.sort();
        }
    }
}

/// What the options of a rule belong to.
#[derive(Clone, Copy)]
enum Part {
    Header,
    Match,
    Target,
}

struct Word {
    text: String,
    quoted: bool,
}

impl Word {
    fn is(&self, text: &str) -> bool {
        !self.quoted && self.text == text
    }

    fn begins_option(&self) -> bool {
        !self.quoted && (self.text == "!" || (self.text.len() > 1 && self.text.starts_with('-')))
    }
}

/// Splits at blanks outside double quotes; a backslash inside quotes takes the next character as it
/// is (xtables_save_string, libxtables/xtables.c).
fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&next) = chars.peek() {
        if next.is_whitespace() {
            chars.next();
            continue;
        }
        let quoted = next == '"';
        let mut word = String::new();
        let mut inside = false;
        while let Some(char) = chars.next_if(|char| inside || !char.is_whitespace()) {
            match char {
                '"' => inside = !inside,
                '\\' if inside => word.extend(chars.next()),
                char => word.push(char),
            }
        }
        words.push(Word { text: word, quoted });
    }
    words
}

fn network(text: &str) -> String {
    let one = || text.parse::<IpAddr>().ok().map(IpNet::from);
    let net = text.parse::<IpNet>().ok().or_else(one);
    net.map_or_else(|| text.to_owned(), |net| net.trunc().to_string())
}

fn protocol(text: &str) -> String {
    match text {
        "6" => "tcp".to_owned(),
        "17" => "udp".to_owned(),
        "132" => "sctp".to_owned(),
        other => other.to_ascii_lowercase(),
    }
}

fn sorted(list: &str) -> String {
    let mut items: Vec<&str> = list.split(',').collect();
    items.sort_unstable();
    items.join(",")
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn value_and_mask(text: &str, mask: u32) -> Option<(u32, u32)> {
    match text.split_once('/') {
        Some((value, mask)) => Some((number(value)?, number(mask)?)),
        None => Some((number(text)?, mask)),
    }
}

fn mark(text: &str, mask: u32) -> String {
    value_and_mask(text, mask)
        .map_or_else(|| text.to_owned(), |(value, mask)| format!("{value:#x}/{mask:#x}"))
}

/// Converts all ways to change a mark to `--set-xmark value/mask`: clear the mask's bits, then flip
/// the value's (iptables-extensions(8), MARK).
fn set_mark(option: &mut Clause) {
    let Some(Some((value, mask))) =
        option.values.first().map(|text| value_and_mask(text, u32::MAX))
    else {
        return;
    };
    let (value, mask) = match option.name.as_str() {
        "--set-xmark" => (value, mask),
        "--set-mark" => (value, value | mask),
        "--or-mark" => (value, value),
        "--and-mark" => (0, !value),
        "--xor-mark" => (value, 0),
        _ => return,
    };
    "--set-xmark".clone_into(&mut option.name);
    option.values = vec![format!("{value:#x}/{mask:#x}")];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn same(one: &str, other: &str) {
        assert_eq!(PrintedRule::parse(one), PrintedRule::parse(other));
    }

    #[track_caller]
    fn differ(one: &str, other: &str) {
        assert_ne!(PrintedRule::parse(one), PrintedRule::parse(other));
    }

    #[test]
    fn spellings_of_one_rule_are_equal() {
        same("-j MARK --or-mark 0x4000", "-j MARK --set-xmark 0x4000/0x4000");
        same("-j MARK --xor-mark 16384", "-j MARK --set-xmark 0x4000/0x0");
        same("-j MARK --and-mark 0xffffbfff", "-j MARK --set-xmark 0x0/0x4000");
        same("-m mark --mark 0x00004000/0x00004000", "-m mark --mark 16384/16384");
        same("-m mark --mark 7", "-m mark --mark 0x7/0xffffffff");
        same("-s 10.0.0.1 -j DROP", "-s 10.0.0.1/32 -j DROP");
        same("-s ::1 -j RETURN", "-s 0:0::1/128 -j RETURN");
        same("-s 0.0.0.0/0 -j DROP", "-j DROP");
        same("-p tcp -m tcp -m set --match-set S dst", "-m set --match-set S dst -p 6");
        same(
            "-m conntrack --ctstate RELATED,ESTABLISHED",
            "-m conntrack --ctstate ESTABLISHED,RELATED",
        );
        same("-m comment --comment plain -j A", "-j A -m comment --comment \"plain\"");
        same(
            r#"-m comment --comment "type \'hash ip:port\'" -j A"#,
            r#"-m comment --comment "type 'hash ip:port'" -j A"#,
        );
    }

    #[test]
    fn rules_that_mean_different_things_differ() {
        differ("-m set --match-set S dst,dst -j A", "-m set --match-set S src,dst -j A");
        differ("-m set --match-set S dst -j A", "-m set ! --match-set S dst -j A");
        differ("-s 10.0.0.0/8 -j A", "! -s 10.0.0.0/8 -j A");
        differ("-j A", "-g A");
        differ("-j MASQUERADE", "-j MASQUERADE --random-fully");
        differ("-m comment --comment one -j A", "-m comment --comment two -j A");
        differ("-m mark --mark 0x4000/0x4000", "-m mark --mark 0x4000");
        differ("-j MARK --set-xmark 0x1/0x1", "-j MARK --set-xmark 0x1/0x0");
        differ("-i cni0 -j A", "-i cni+ -j A");
        differ("-p tcp -m tcp --dport 80 -j A", "-p tcp -j A");
    }

    #[test]
    fn a_comment_that_looks_like_an_option_is_a_comment() {
        let rule = PrintedRule::parse(r#"-m comment --comment "-j DROP" -j ACCEPT"#);
        assert_eq!(rule.target(), Some("ACCEPT"));
        assert!(rule.is_unconditional());
        assert!(!PrintedRule::parse("-p tcp -j ACCEPT").is_unconditional());
    }
}
