//! Lists of CPUs as the kernel writes and reads them, such as `0-3,8`.

/// The CPUs in a list, in order, each once; `None` for what is no list. Of what `cpulist_parse`
/// (lib/bitmap-str.c) takes, numbers and ranges.
pub fn parse(text: &str) -> Option<Vec<u16>> {
    let mut cpus: Vec<u16> = Vec::new();
    for part in text.trim().split(',') {
        let (first, end) = part.split_once('-').unwrap_or((part, part));
        let (first, end) = (first.trim().parse::<u16>().ok()?, end.trim().parse().ok()?);
        if first > end {
            return None;
        }
        cpus.extend(first..=end);
    }
    cpus.sort_unstable();
    cpus.dedup();
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_mean_the_same_however_they_are_written() {
        assert_eq!(parse("0-3,8\n"), Some(vec![0, 1, 2, 3, 8]));
        assert_eq!(parse("8,1,0,2-3,2"), parse("0-3,8"));
        assert_eq!(parse("0"), Some(vec![0]));
        for text in ["", "all", "3-1", "1,", "-1", "0-3-5"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
