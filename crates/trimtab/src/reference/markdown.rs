//! Tables in Markdown.

/// A table with these columns.
pub(super) fn table<const N: usize>(
    columns: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(columns.map(ToOwned::to_owned).to_vec());
    text += &line(vec!["---".to_owned(); N]);
    for row in rows {
        text += &line(row.iter().map(|cell| cell.replace('|', "\\|")).collect());
    }
    text
}

/// A word as code; an empty word stays empty.
pub(super) fn code(word: &str) -> String {
    if word.is_empty() { String::new() } else { format!("`{word}`") }
}
