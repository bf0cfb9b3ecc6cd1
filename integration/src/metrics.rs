//! The metrics of a proxy, in the Prometheus text format.

use std::collections::BTreeMap;

/// All series of one scrape.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    series: BTreeMap<String, f64>,
}

impl Metrics {
    /// Reads the text of `/metrics`; lines that are not series are skipped.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self { series: series.collect() }
    }

    /// The sum over all series of this name whose labels contain `labels`; `None` without any.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &str) -> Option<f64> {
        let found = self.series.iter().filter(|(series, _)| {
            let (own, of) = series.split_once('{').unwrap_or((series, ""));
            own == name && of.contains(labels)
        });
        found.map(|(_, value)| *value).reduce(|sum, value| sum + value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_name_and_label() {
        let text = "# HELP a b\na{x=\"1\"} 2\na{x=\"2\"} 3\nab 7\nb 1.5e3\n";
        let metrics = Metrics::parse(text);
        assert_eq!(metrics.sum("a", ""), Some(5.0));
        assert_eq!(metrics.sum("a", "x=\"2\""), Some(3.0));
        assert_eq!(metrics.sum("b", ""), Some(1500.0));
        assert_eq!(metrics.sum("c", ""), None);
    }
}
