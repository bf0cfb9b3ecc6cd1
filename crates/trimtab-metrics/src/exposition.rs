//! Writes metrics in the Prometheus text format, version 0.0.4.

use std::fmt::{Display, Write as _};

use crate::table::Metric;

/// A text of metrics, family by family.
#[derive(Clone, Debug, Default)]
pub struct Exposition {
    text: String,
}

impl Exposition {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { text: String::new() }
    }

    /// Begins a family; its samples follow.
    pub fn family(&mut self, metric: &Metric) {
        let Metric { name, kind, meaning, .. } = metric;
        let _ = writeln!(self.text, "# HELP {name} {}", Escaped { text: meaning, quotes: false });
        let _ = writeln!(self.text, "# TYPE {name} {}", kind.as_str());
    }

    /// Adds a sample of the family that was begun last. `values` are those of its labels, in their
    /// order.
    pub fn sample(&mut self, metric: &Metric, values: &[&dyn Display], value: impl Display) {
        self.text.push_str(metric.name);
        for (place, (label, value)) in metric.labels.iter().zip(values).enumerate() {
            self.text.push(if place == 0 { '{' } else { ',' });
            let value = value.to_string();
            let _ = write!(self.text, "{label}=\"{}\"", Escaped { text: &value, quotes: true });
        }
        if !metric.labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    /// The text.
    pub fn finish(self) -> String {
        self.text
    }
}

/// Text in which line feeds, backslashes and, where it stands in quotes, quotes are escaped.
struct Escaped<'a> {
    text: &'a str,
    quotes: bool,
}

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.text.chars() {
            match character {
                '\n' => f.write_str("\\n")?,
                '\\' => f.write_str("\\\\")?,
                '"' if self.quotes => f.write_str("\\\"")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[test]
    fn names_labels_and_values_are_written_as_prometheus_reads_them() {
        let metric = Metric {
            name: "a_total",
            kind: Kind::Counter,
            labels: &["x", "y"],
            meaning: "What \"a\"\\b\nmeans",
        };
        let mut text = Exposition::new();
        text.family(&metric);
        text.sample(&metric, &[&"a\"\\\n", &80], 7u64);
        text.sample(&Metric { labels: &[], ..metric }, &[], 0.5);
        assert_eq!(
            text.finish(),
            "# HELP a_total What \"a\"\\\\b\\nmeans\n# TYPE a_total counter\n\
             a_total{x=\"a\\\"\\\\\\n\",y=\"80\"} 7\na_total 0.5\n"
        );
    }
}
