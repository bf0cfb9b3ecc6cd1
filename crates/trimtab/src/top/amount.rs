//! Numbers in few characters.

const UNITS: [&str; 6] = ["", "k", "M", "G", "T", "P"];

/// A number that is not negative, in at most five characters: `0`, `7.5`, `120`, `1.2k`, `35M`.
#[expect(clippy::float_cmp, reason = "whole numbers have no fraction, however they came to be")]
pub(super) fn amount(number: f64) -> String {
    let mut left = number.max(0.0);
    let mut unit = 0;
    // What would be rounded to 1000 has the next unit.
    while left >= 999.5 && unit + 1 < UNITS.len() {
        left /= 1000.0;
        unit += 1;
    }
    let has_fraction = left < 9.95 && (unit > 0 || left != left.trunc());
    let digits = usize::from(has_fraction);
    format!("{left:.digits$}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_two_or_three_digits_and_a_unit() {
        for (number, text) in [
            (0.0, "0"),
            (0.25, "0.2"),
            (7.0, "7"),
            (7.5, "7.5"),
            (9.97, "10"),
            (120.4, "120"),
            (999.7, "1.0k"),
            (1234.0, "1.2k"),
            (35_000_000.0, "35M"),
            (-1.0, "0"),
        ] {
            assert_eq!(amount(number), text, "{number}");
        }
    }
}
