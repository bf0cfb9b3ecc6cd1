//! Removes what looks like a secret. Nothing that a report consists of should have one; this is for
//! a log or an error text that does.

const REMOVED: &str = "[removed]";

/// Words after which a value is secret: `token=...`, `"password": "..."`.
const KEYS: [&str; 8] = [
    "authorization",
    "client-key-data",
    "client-certificate-data",
    "credential",
    "passwd",
    "password",
    "secret",
    "token",
];

/// The text without secrets: values of the keys above, what follows `Bearer`, JSON web tokens,
/// passwords in URLs and private keys in PEM.
pub(super) fn redacted(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut is_in_key = false;
    for line in text.split_inclusive('\n') {
        if line.contains("-----BEGIN") && line.contains("PRIVATE KEY") {
            is_in_key = true;
            clean.push_str(REMOVED);
            clean.push('\n');
        }
        let ends = line.contains("-----END");
        if !is_in_key {
            clean.push_str(&of_line(line));
        }
        is_in_key &= !ends;
    }
    clean
}

fn of_line(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let may_have = KEYS.iter().any(|key| lower.contains(key))
        || lower.contains("bearer ")
        || line.contains("eyJ")
        || lower.contains("://");
    if !may_have {
        return line.to_owned();
    }
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for key in KEYS {
        for (at, _) in lower.match_indices(key) {
            spans.extend(value_after(line, at + key.len()));
        }
    }
    for (at, found) in lower.match_indices("bearer ") {
        let start = at + found.len();
        spans.push((start, end_of_value(line, start)));
    }
    for (at, _) in line.match_indices("eyJ") {
        spans.push((at, end_of_value(line, at)));
    }
    for (at, found) in line.match_indices("://") {
        let start = at + found.len();
        let end = start + line[start..].find(['/', ' ', '"', '\n']).unwrap_or(line.len() - start);
        if let Some(sign) = line[start..end].rfind('@') {
            spans.push((start, start + sign));
        }
    }
    spans.sort_unstable();
    let (mut clean, mut done) = (String::new(), 0);
    for (start, end) in spans {
        if start < done {
            // Within the one before; it may reach further.
            done = done.max(end);
            continue;
        }
        clean.push_str(&line[done..start]);
        clean.push_str(REMOVED);
        done = end;
    }
    clean.push_str(&line[done..]);
    clean
}

/// The value after a key that ends at `at`, if a sign of assignment comes first.
fn value_after(line: &str, at: usize) -> Option<(usize, usize)> {
    let rest =
        line[at..].trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-_".contains(c));
    let rest = rest.trim_start_matches(['"', '\'', '\\', ' ']);
    let rest = rest.strip_prefix([':', '='])?;
    let rest = rest.trim_start_matches(['"', '\'', '\\', ' ']);
    let start = line.len() - rest.len();
    let end = end_of_value(line, start);
    (end > start).then_some((start, end))
}

fn end_of_value(line: &str, start: usize) -> usize {
    let ends = [' ', '"', '\'', '\\', ',', '}', ']', '\n', '\r', '&'];
    start + line[start..].find(ends).unwrap_or(line.len() - start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_removed_and_the_rest_stays() {
        for (text, clean) in [
            ("token=abc rest", "token=[removed] rest"),
            ("accessToken: \"abc\", x: 1", "accessToken: \"[removed]\", x: 1"),
            ("{\"password\":\"p\",\"a\":1}", "{\"password\":\"[removed]\",\"a\":1}"),
            ("authorization: Bearer abc.d", "authorization: [removed] [removed]"),
            ("said Bearer abc to", "said Bearer [removed] to"),
            ("jwt eyJhbGciOi.eyJzdWIi.sig end", "jwt [removed] end"),
            ("https://me:pw@host:6443/x", "https://[removed]@host:6443/x"),
            ("https://host:6443/x", "https://host:6443/x"),
            ("watch tokens 5", "watch tokens 5"),
            ("    client-key-data: LS0t\n", "    client-key-data: [removed]\n"),
        ] {
            assert_eq!(redacted(text), clean, "{text}");
        }
        let pem = "a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb\n";
        assert_eq!(redacted(pem), "a\n[removed]\nb\n");
    }
}
