//! Durations as Go writes them, which Kubernetes configuration files use: `30s`, `1h15m`, `1.5s`.

use std::time::Duration;

/// A text that is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a duration such as 30s, 5m or 1h30m")]
pub struct BadDuration;

const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration; negative ones are refused.
///
/// # Errors
/// [`BadDuration`] for anything else than numbers with units, or a lone 0.
pub fn parse_duration(text: &str) -> Result<Duration, BadDuration> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: u128 = 0;
    if rest.is_empty() {
        return Err(BadDuration);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or(BadDuration)?;
        let (number, behind) = rest.split_at(digits);
        let unit_end =
            behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit_end);
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(BadDuration)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() {
            return Err(BadDuration);
        }
        let whole: u128 =
            if whole.is_empty() { 0 } else { whole.parse().map_err(|_| BadDuration)? };
        total = whole.checked_mul(*unit).and_then(|n| total.checked_add(n)).ok_or(BadDuration)?;
        let mut scale = *unit;
        for digit in fraction.chars() {
            scale /= 10;
            total += u128::from(digit.to_digit(10).ok_or(BadDuration)?) * scale;
        }
        rest = behind;
    }
    u64::try_from(total).map(Duration::from_nanos).map_err(|_| BadDuration)
}

/// Writes a duration as Go does: `0s`, `1.5s`, `24h0m0s`, `250ms`.
pub fn format_duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let (unit, per_unit) = match time.as_nanos() {
        0 => return "0s".to_owned(),
        1..1_000 => ("ns", 1),
        1_000..1_000_000 => ("µs", 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        _ => ("s", 1_000_000_000),
    };
    let rest = time.as_nanos() % 60_000_000_000;
    let (whole, fraction) = (rest / per_unit, rest % per_unit);
    let digits = per_unit.ilog10() as usize;
    let fraction = format!("{fraction:0digits$}");
    let fraction = if digits == 0 { "" } else { fraction.trim_end_matches('0') };
    let point = if fraction.is_empty() { "" } else { "." };
    let lead = match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => String::new(),
        (0, minutes) => format!("{minutes}m"),
        (hours, minutes) => format!("{hours}h{minutes}m"),
    };
    format!("{lead}{whole}{point}{fraction}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_read() {
        for (text, milliseconds) in [
            ("0", 0),
            ("0s", 0),
            ("30s", 30_000),
            ("1h15m30.5s", 4_530_500),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("15m0s", 900_000),
            ("250ms", 250),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "30", "s", "1x", "-1s", "1..5s", "1 s", "9999999999999999999999h", ".s"] {
            assert_eq!(parse_duration(text), Err(BadDuration), "{text}");
        }
    }

    #[test]
    fn durations_are_written_as_go_does() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (7, "7ns"),
            (1_500, "1.5µs"),
            (250_000_000, "250ms"),
            (1_500_000_000, "1.5s"),
            (30_000_000_000, "30s"),
            (60_000_000_000, "1m0s"),
            (60_050_000_000, "1m0.05s"),
            (900_000_000_000, "15m0s"),
            (86_400_000_000_000, "24h0m0s"),
        ] {
            let time = Duration::from_nanos(nanoseconds);
            assert_eq!(format_duration(time), text);
            assert_eq!(parse_duration(text), Ok(time), "{text}");
        }
    }
}
