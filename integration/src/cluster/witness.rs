//! The kernel's state, as other programs print it, in sorted lines that can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;
use trimtab_core::Family;

use crate::topology::Namespace;

use super::proxy::program;

/// Lines of text.
pub type Lines = BTreeSet<String>;

/// What `ipvsadm -Sn` prints.
///
/// # Errors
/// If it cannot be run.
pub fn ipvsadm(namespace: &Namespace) -> anyhow::Result<Lines> {
    Ok(lines(&namespace.command("ipvsadm", ["-Sn"])?))
}

/// What `ipset save` prints, without what the kernel chooses: hash sizes and start values.
///
/// # Errors
/// If it cannot be run.
pub fn ipset(namespace: &Namespace) -> anyhow::Result<Lines> {
    Ok(lines(&namespace.command("ipset", ["save"])?).iter().map(|line| plain_set(line)).collect())
}

/// The addresses on `kube-ipvs0`, by `ip -j address`.
///
/// # Errors
/// If it cannot be run.
pub fn addresses(namespace: &Namespace) -> anyhow::Result<Lines> {
    let text = namespace.command("ip", ["-j", "address", "show", "dev", "kube-ipvs0"])?;
    let value: Value = serde_json::from_str(&text).context("the output of ip -j")?;
    let listed = value.as_array().into_iter().flatten();
    let infos = listed.filter_map(|link| link["addr_info"].as_array()).flatten();
    Ok(infos.filter_map(|info| info["local"].as_str()).map(str::to_owned).collect())
}

/// Our chains and the jumps to them, by `iptables-save` or `ip6tables-save`.
///
/// # Errors
/// If it cannot be run.
pub fn rules(namespace: &Namespace, family: Family) -> anyhow::Result<Vec<String>> {
    let program = match family {
        Family::V4 => "iptables-save",
        Family::V6 => "ip6tables-save",
    };
    Ok(our_rules(&namespace.command::<&str>(program, [])?))
}

/// Our chains and the jumps to them, of what `iptables-save` printed: sorted by table and chain,
/// those of a chain in their order, with the table in front. Rules of our chains are without
/// comments, in which kube-proxy's differ from ours; jumps keep theirs.
pub fn our_rules(saved: &str) -> Vec<String> {
    let mut table = "";
    let mut rules: Vec<(&str, &str, String)> = Vec::new();
    for line in saved.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
            continue;
        }
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        let first = rest.split(' ').next().unwrap_or_default();
        let is_ours = |chain: &str| chain.starts_with("KUBE-") || chain.starts_with("TRIMTAB-");
        if let Some(chain) = command.strip_prefix(':').filter(|chain| is_ours(chain)) {
            rules.push((table, chain, format!("{table} chain {chain}")));
        } else if command == "-A" && is_ours(first) {
            rules.push((table, first, format!("{table} {}", uncommented(line))));
        } else if command == "-A" && line.rsplit_once("-j ").is_some_and(|(_, to)| is_ours(to)) {
            rules.push((table, first, format!("{table} {line}")));
        }
    }
    rules.sort_by_key(|(table, chain, _)| (*table, *chain));
    rules.into_iter().map(|(.., rule)| rule).collect()
}

/// A printed rule without its comment, if it has a quoted one.
pub fn uncommented(rule: &str) -> String {
    let parts = rule
        .split_once("-m comment --comment \"")
        .and_then(|(before, rest)| Some((before, rest.split_once("\" ")?.1)));
    parts.map_or_else(|| rule.to_owned(), |(before, after)| format!("{before}{after}"))
}

/// Firewall marks by what they stand for. Which number a mark has depends on what was there before.
#[derive(Debug, Default)]
struct Marks(BTreeMap<(bool, u32), String>);

impl Marks {
    /// The marks of frontends, each by its first frontend.
    fn of(sets: &Lines) -> Self {
        let mut marks = Self::default();
        for line in sets {
            let Some((add, mark)) = line.split_once(" skbmark 0x") else { continue };
            let (set, element) = add.rsplit_once(' ').unwrap_or((add, ""));
            let Ok(mark) = u32::from_str_radix(mark, 16) else { continue };
            let is_six = set.contains("-6-");
            marks.0.entry((is_six, mark)).or_insert_with(|| element.to_owned());
        }
        marks
    }

    /// A line of `ipvsadm -Sn` or `ipset save` with what its mark stands for.
    fn name(&self, line: &str) -> String {
        let is_six = line.contains("-6-") || line.contains(" -6");
        let name = |mark: u32| self.0.get(&(is_six, mark)).map(|name| format!("[{name}]"));
        let named = |before: &str, found: &str, radix: u32| {
            let (_, rest) = line.split_once(before)?;
            let text = rest.split(' ').next()?;
            let mark = u32::from_str_radix(text.strip_prefix(found)?, radix).ok()?;
            Some(line.replacen(&format!("{before}{text}"), &format!("{before}{}", name(mark)?), 1))
        };
        let address = || {
            let (set, address) = line.split_once("-MARKS ")?;
            let mark = match address.parse().ok()? {
                IpAddr::V4(address) => address.to_bits(),
                IpAddr::V6(address) => u32::try_from(address.to_bits()).ok()?,
            };
            Some(format!("{set}-MARKS {}", name(mark)?))
        };
        named(" -f ", "", 10)
            .or_else(|| named(" skbmark ", "0x", 16))
            .or_else(address)
            .unwrap_or_else(|| line.to_owned())
    }
}

/// Everything that Trimtab programs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// As [`ipvsadm`].
    pub servers: Lines,
    /// As [`ipset`].
    pub sets: Lines,
    /// As [`addresses`].
    pub addresses: Lines,
    /// As [`rules`], of IPv4 and IPv6.
    pub rules: [Vec<String>; 2],
}

impl State {
    /// What the kernel holds.
    ///
    /// # Errors
    /// If a program cannot be run.
    pub fn of_kernel(namespace: &Namespace) -> anyhow::Result<Self> {
        let [four, six] = Family::ALL.map(|family| rules(namespace, family));
        Ok(Self { rules: [four?, six?], ..Self::without_rules(namespace)? })
    }

    /// What the kernel holds of what depends on Services.
    ///
    /// # Errors
    /// If a program cannot be run.
    pub fn without_rules(namespace: &Namespace) -> anyhow::Result<Self> {
        Ok(Self {
            servers: ipvsadm(namespace)?,
            sets: ipset(namespace)?,
            addresses: addresses(namespace)?,
            rules: [Vec::new(), Vec::new()],
        })
    }

    /// What `trimtab plan` says that it should hold.
    ///
    /// # Errors
    /// If it cannot be run or refuses the manifests.
    pub fn of_plan(
        namespace: &Namespace,
        manifests: &Path,
        config: &Path,
        node: &str,
    ) -> anyhow::Result<Self> {
        let text = plan_text(namespace, manifests, config, node, &[])?;
        let mut state = Self::default();
        for section in text.split_terminator("# ").skip(1) {
            let (title, body) = section.split_once('\n').unwrap_or((section, ""));
            let program = title.split(' ').next().unwrap_or_default();
            match program {
                "ipvsadm" => state.servers = lines(body),
                "ipset" => state.sets = lines(body).iter().map(|line| plain_set(line)).collect(),
                "addresses" => state.addresses = lines(body),
                "iptables-restore" => state.rules[0] = our_rules(body),
                "ip6tables-restore" => state.rules[1] = our_rules(body),
                _ => anyhow::bail!("unknown section {title:?}"),
            }
        }
        Ok(state)
    }

    /// The same with each mark by what it stands for, so that two states are equal that differ in
    /// the numbers of marks only.
    #[must_use]
    pub fn with_named_marks(mut self) -> Self {
        let marks = Marks::of(&self.sets);
        for lines in [&mut self.servers, &mut self.sets] {
            *lines = lines.iter().map(|line| marks.name(line)).collect();
        }
        self
    }

    /// What differs from what is wanted, as a text: empty if nothing does.
    pub fn difference(&self, wanted: &Self) -> String {
        let mut text = difference(&self.servers, &wanted.servers)
            + &difference(&self.sets, &wanted.sets)
            + &difference(&self.addresses, &wanted.addresses);
        for (found, wanted) in self.rules.iter().zip(&wanted.rules) {
            let [found_lines, wanted_lines] =
                [found, wanted].map(|rules| rules.iter().cloned().collect());
            text += &difference(&found_lines, &wanted_lines);
            if found != wanted && found_lines == wanted_lines {
                text += "  the order of rules\n";
            }
        }
        text
    }
}

/// The rules of a family that `trimtab plan` prints, as [`rules`] has them.
///
/// # Errors
/// If it cannot be run or refuses the manifests.
pub fn planned_rules(
    namespace: &Namespace,
    manifests: &Path,
    config: &Path,
    node: &str,
    family: Family,
) -> anyhow::Result<Vec<String>> {
    let family = family.to_string().to_lowercase();
    let more = ["-o", "iptables", "--family", &family];
    Ok(our_rules(&plan_text(namespace, manifests, config, node, &more)?))
}

/// The most connections that each real server may have, by `ipvsadm -Ln --thresholds`.
///
/// # Errors
/// If it cannot be run.
pub fn thresholds(namespace: &Namespace) -> anyhow::Result<Vec<String>> {
    let text = namespace.command("ipvsadm", ["-Ln", "--thresholds"])?;
    let upper = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
        ["->", _, upper, ..] if upper.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(upper.to_owned())
        }
        _ => None,
    };
    Ok(text.lines().filter_map(upper).collect())
}

/// The connections that IPVS has, by `ipvsadm -Lnc`, without those that only stand for a client's
/// affinity.
///
/// # Errors
/// If it cannot be run.
pub fn connections(namespace: &Namespace) -> anyhow::Result<Lines> {
    let text = namespace.command("ipvsadm", ["-Lnc"])?;
    let is_one = |line: &str| {
        let known = ["TCP", "UDP", "SCTP"];
        known.iter().any(|word| line.starts_with(word)) && !line.contains(":0 ")
    };
    Ok(lines(&text).into_iter().filter(|line| is_one(line)).collect())
}

/// The connections of a family that the kernel tracks, by `conntrack -L`.
///
/// # Errors
/// If it cannot be run.
pub fn conntrack(namespace: &Namespace, family: Family) -> anyhow::Result<Lines> {
    let family = match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    };
    Ok(lines(&namespace.command("conntrack", ["-L", "-f", family])?))
}

/// What `trimtab plan` prints for some manifests: `output` is `ipvsadm`, `ipset` or `addresses`.
///
/// # Errors
/// If it cannot be run or refuses the manifests.
pub fn plan(
    namespace: &Namespace,
    manifests: &Path,
    config: &Path,
    node: &str,
    output: &str,
) -> anyhow::Result<Lines> {
    let text = plan_text(namespace, manifests, config, node, &["-o", output])?;
    Ok(lines(&text).iter().map(|line| plain_set(line)).collect())
}

/// What `trimtab plan` prints with further arguments.
///
/// # Errors
/// If it cannot be run or refuses the manifests.
pub fn plan_text(
    namespace: &Namespace,
    manifests: &Path,
    config: &Path,
    node: &str,
    more: &[&str],
) -> anyhow::Result<String> {
    let [manifests, config] = [manifests, config].map(|path| path.display().to_string());
    let arguments = ["plan", "-f", &manifests, "--config", &config, "--hostname-override", node];
    let arguments = arguments.iter().chain(more);
    Ok(namespace.command(&program()?.display().to_string(), arguments)?)
}

/// What is in one set of lines only, as a text: empty if they are equal.
pub fn difference(found: &Lines, wanted: &Lines) -> String {
    let surplus = found.difference(wanted).map(|line| format!("  surplus: {line}\n"));
    let missing = wanted.difference(found).map(|line| format!("  missing: {line}\n"));
    surplus.chain(missing).collect()
}

fn lines(text: &str) -> Lines {
    text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn plain_set(line: &str) -> String {
    if !line.starts_with("create ") {
        return line.to_owned();
    }
    let chosen = ["hashsize", "bucketsize", "initval"];
    let mut words = line.split(' ');
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        if chosen.contains(&word) {
            words.next();
        } else {
            kept.push(word);
        }
    }
    kept.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_named_by_the_first_of_their_frontends_and_foreign_ones_stay() {
        let state = |mark: u32| State {
            servers: lines(&format!(
                "-A -f {mark} -s rr\n-a -f {mark} -r 10.0.0.1:80 -m -w 1\n-A -f {mark} -6 -s rr\n\
                 -A -f 7 -s rr\n-A -t 10.0.0.9:80 -s rr\n"
            )),
            sets: lines(&format!(
                "add TRIMTAB-INSIDE 10.0.0.8,tcp:80 skbmark {mark:#x}\n\
                 add TRIMTAB-INSIDE 10.0.0.7,tcp:80 skbmark {mark:#x}\n\
                 add TRIMTAB-6-INSIDE fd00::7,tcp:80 skbmark {mark:#x}\n\
                 add TRIMTAB-MARKS 0.0.16.{}\nadd TRIMTAB-6-MARKS ::{mark:x}\n",
                mark - 0x1000
            )),
            ..State::default()
        };
        let named = state(0x1010).with_named_marks();
        assert_eq!(named, state(0x1020).with_named_marks());
        let expected = [
            "-A -f 7 -s rr",
            "-A -f [10.0.0.7,tcp:80] -s rr",
            "-A -f [fd00::7,tcp:80] -6 -s rr",
            "-A -t 10.0.0.9:80 -s rr",
            "-a -f [10.0.0.7,tcp:80] -r 10.0.0.1:80 -m -w 1",
        ];
        assert_eq!(named.servers, expected.map(str::to_owned).into());
        assert!(named.sets.contains("add TRIMTAB-MARKS [10.0.0.7,tcp:80]"), "{:?}", named.sets);
        assert!(named.sets.contains("add TRIMTAB-6-MARKS [fd00::7,tcp:80]"), "{:?}", named.sets);
    }
}
