//! An order in which the kernel tests run, decided by a number.

use std::fmt;
use std::str::FromStr;

use fastrand::Rng;

use super::suite::Test;

/// What decides an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seed(u64);

impl FromStr for Seed {
    type Err = std::num::ParseIntError;

    /// Reads a number. `random` is any that is short enough to be typed.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "random" => Ok(Self(u64::from(fastrand::u16(..)))),
            number => number.parse().map(Self),
        }
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Brings tests to the order of this seed. The same tests and the same seed are the same order.
pub(super) fn shuffle(tests: &mut [Test], Seed(seed): Seed) {
    Rng::with_seed(seed).shuffle(tests);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shuffled(seed: Seed) -> Vec<Test> {
        let mut tests: Vec<_> =
            (0..20).map(|number| Test::named("a.rs", &number.to_string())).collect();
        shuffle(&mut tests, seed);
        tests
    }

    #[test]
    fn one_seed_is_one_order_and_two_are_two() {
        assert_eq!(shuffled(Seed(1)), shuffled(Seed(1)));
        assert_ne!(shuffled(Seed(1)), shuffled(Seed(2)));
    }

    #[test]
    fn the_seed_that_is_printed_can_be_given() {
        let seed: Seed = "random".parse().unwrap();
        assert_eq!(seed.to_string().parse(), Ok(seed));
        assert!("often".parse::<Seed>().is_err());
    }
}
