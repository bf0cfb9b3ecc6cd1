//! One way compared with another: the median of the ratios of each round, as both ways of a round
//! were measured right after each other and the machine may be slower in the next one.

use super::report::{Round, Series};

/// One way as a multiple of another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// New connections a second; less is worse.
    pub rate: f64,
    /// The time to the first answer on a new connection; more is worse.
    pub new: f64,
    /// The time to an answer on a connection that was open; more is worse.
    pub kept: f64,
}

impl Ratio {
    /// Of `series` to `base`; `None` without rounds.
    pub fn of(series: &Series, base: &Series) -> Option<Self> {
        let of = |field: fn(&Round) -> f64| {
            let pairs = series.rounds.iter().zip(&base.rounds);
            median(pairs.map(|(round, base)| field(round) / field(base)).collect())
        };
        Some(Self {
            rate: of(|round| round.rate)?,
            new: of(|round| round.new)?,
            kept: of(|round| round.kept)?,
        })
    }
}

/// The middle one; of an even number, the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packets::target::Path;
    use crate::quantile::Spread;

    #[test]
    fn a_round_is_compared_with_the_same_round() {
        let series = |factor: f64| Series {
            program: None,
            services: 1,
            path: Path::Vip,
            // The machine gets twice as fast each time, and is disturbed once.
            rounds: [1.0, 2.0, 4.0]
                .map(|speed| {
                    let disturbed = if factor < 1.0 && speed > 3.0 { 0.25 } else { 1.0 };
                    let rate = speed * factor * disturbed;
                    Round { rate, new: 1.0 / rate, kept: 1.0 }
                })
                .to_vec(),
            new: Spread::default(),
            kept: Spread::default(),
        };
        let ratio = Ratio::of(&series(0.5), &series(1.0)).unwrap();
        assert_eq!(ratio, Ratio { rate: 0.5, new: 2.0, kept: 1.0 });
        let none = Series { rounds: Vec::new(), ..series(1.0) };
        assert_eq!(Ratio::of(&none, &series(1.0)), None);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }
}
