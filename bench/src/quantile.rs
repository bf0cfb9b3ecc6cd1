//! Percentiles.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::process::milliseconds;

/// How a set of times is spread, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// How many there are.
    pub count: usize,
    /// Half are shorter.
    pub p50: f64,
    /// One in ten is longer.
    pub p90: f64,
    /// One in a hundred is longer.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Spread {
    /// Of these times; `None` of none.
    pub fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        let max = milliseconds(*times.last()?);
        // The nearest rank: the smallest time that so many percent are not above.
        let rank =
            |percent: usize| milliseconds(times[(times.len() * percent).div_ceil(100).max(1) - 1]);
        Some(Self { count: times.len(), p50: rank(50), p90: rank(90), p99: rank(99), max })
    }
}

/// The middle one.
pub fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times = (1..=200).rev().map(Duration::from_millis).collect();
        let spread = Spread::of(times).unwrap();
        assert_eq!((spread.p50, spread.p90), (100.0, 180.0));
        assert_eq!((spread.p99, spread.max), (198.0, 200.0));
        let one = Spread::of(vec![Duration::from_millis(3)]).unwrap();
        assert_eq!((one.p50, one.p99, one.max), (3.0, 3.0, 3.0));
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
