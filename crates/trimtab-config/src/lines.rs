//! In which line of the file each key's value is.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// Line numbers, from 1, by the path of a key: `ipvs.scheduler`, `ipvs.excludeCIDRs[0]`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(BTreeMap<String, u64>);

impl Lines {
    /// Finds the lines of a text that parses; of another one, none.
    pub(crate) fn of(text: &str) -> Self {
        let mut lines = Self::default();
        if let Ok(tree) = serde_saphyr::from_str::<Spanned<Tree>>(text) {
            lines.add(String::new(), &tree);
        }
        lines
    }

    /// The line of a key's value, if the file has the key.
    pub(crate) fn line(&self, path: &str) -> Option<u64> {
        self.0.get(path).copied()
    }

    fn add(&mut self, path: String, tree: &Spanned<Tree>) {
        match &tree.value {
            Tree::Section(entries) => {
                for (key, below) in entries {
                    let dot = if path.is_empty() { "" } else { "." };
                    self.add(format!("{path}{dot}{key}"), below);
                }
            }
            Tree::List(items) => {
                for (index, below) in items.iter().enumerate() {
                    self.add(format!("{path}[{index}]"), below);
                }
            }
            Tree::Single => {}
        }
        self.0.insert(path, tree.referenced.line());
    }
}

/// The shape of a file, without its values.
enum Tree {
    Section(Vec<(String, Spanned<Tree>)>),
    List(Vec<Spanned<Tree>>),
    Single,
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Shape)
    }
}

struct Shape;

impl<'de> Visitor<'de> for Shape {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Tree::Section(entries))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Single)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Single)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Single)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Single)
    }

    fn visit_str<E>(self, _: &str) -> Result<Tree, E> {
        Ok(Tree::Single)
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Single)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Single)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_the_line_of_its_value_in_yaml_and_json() {
        let yaml = "# a remark\nmode: ipvs\nipvs:\n  scheduler: rr\n  strictARP:\n    - 1\n\
                    \u{20} excludeCIDRs: [10.0.0.0/8,\n    x]\noomScoreAdj: 0x10\nclusterCIDR: ~\n";
        let lines = Lines::of(yaml);
        for (path, line) in [
            ("mode", 2),
            ("ipvs.scheduler", 4),
            ("ipvs.strictARP[0]", 6),
            ("ipvs.excludeCIDRs[1]", 8),
            ("oomScoreAdj", 9),
            ("clusterCIDR", 10),
        ] {
            assert_eq!(lines.line(path), Some(line), "{path}");
        }
        assert_eq!(lines.line("ipvs.syncPeriod"), None);
        assert_eq!(Lines::of("{\n\"mode\":\n\"ipvs\"}").line("mode"), Some(3));
        assert_eq!(Lines::of("a: [").line("a"), None);
    }
}
