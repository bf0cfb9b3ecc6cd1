//! By what Service ports are sorted.

use std::cmp::Ordering;

use clap::ValueEnum;

use super::ports::{Point, Port};

/// What comes first has the most of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SortKey {
    /// New connections a second.
    Connections,
    /// Bytes a second, both ways.
    Bytes,
    /// Established connections.
    Active,
}

impl SortKey {
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Connections => Self::Bytes,
            Self::Bytes => Self::Active,
            Self::Active => Self::Connections,
        }
    }

    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Connections => "new connections",
            Self::Bytes => "bytes",
            Self::Active => "active connections",
        }
    }

    /// What the history shows: active connections have none.
    pub(super) const fn of_point(self, point: Point) -> u64 {
        match self {
            Self::Connections | Self::Active => point.connections,
            Self::Bytes => point.bytes,
        }
    }

    /// The most first. Where there are no rates yet, and of those that have the same, the most since
    /// the beginning, then by name.
    pub(super) fn compare(self, one: &Port, other: &Port) -> Ordering {
        let total = |port: &Port| match self {
            Self::Connections | Self::Active => port.total.connections,
            Self::Bytes => port.total.bytes(),
        };
        self.now(other)
            .total_cmp(&self.now(one))
            .then_with(|| total(other).cmp(&total(one)))
            .then_with(|| one.name.cmp(&other.name))
    }

    #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 connections")]
    fn now(self, port: &Port) -> f64 {
        let rates = port.rates.unwrap_or_default();
        match self {
            Self::Connections => rates.connections,
            Self::Bytes => rates.bytes_in + rates.bytes_out,
            Self::Active => port.open.unwrap_or_default().active as f64,
        }
    }
}
