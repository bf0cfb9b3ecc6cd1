//! Tables without lines, as kubectl prints them.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use comfy_table::presets::NOTHING;
use comfy_table::{Cell, ContentArrangement};
use trimtab_core::Printable;

const HEADER: Style = Style::new().bold();

/// What a row's colour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Plain,
    /// On its way.
    Passing,
    /// Not as it should be.
    Wrong,
}

impl Tone {
    pub(crate) const fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Passing => AnsiColor::Yellow.on_default(),
            Self::Wrong => AnsiColor::Red.on_default(),
        }
    }
}

/// A table whose rows are one line each.
pub(crate) struct Table {
    rows: comfy_table::Table,
    tones: Vec<Tone>,
    colours: bool,
}

impl Table {
    pub(crate) fn new(columns: &[&str], colours: bool) -> Self {
        let mut rows = comfy_table::Table::new();
        rows.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        rows.set_header(columns.iter().map(Cell::new));
        Self { rows, tones: Vec::new(), colours }
    }

    pub(crate) fn row(&mut self, cells: &[String]) {
        self.toned_row(cells, Tone::Plain);
    }

    /// Cells that are left out are empty. Names may hold anything, so what does not show is escaped.
    pub(crate) fn toned_row(&mut self, cells: &[String], tone: Tone) {
        self.rows.add_row(cells.iter().map(|cell| Cell::new(Printable(cell))));
        self.tones.push(tone);
    }

    pub(crate) fn text(mut self) -> String {
        for column in self.rows.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let styles = [HEADER].into_iter().chain(self.tones.iter().map(|tone| tone.style()));
        let mut text = String::new();
        for (line, style) in self.rows.lines().zip(styles) {
            let line = line.trim_end();
            let style = if self.colours { style } else { Style::new() };
            let _ = writeln!(text, "{style}{line}{style:#}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_line_whatever_is_in_it() {
        let mut table = Table::new(&["NAME", "STATE"], false);
        table.row(&["a".to_owned(), "fine".to_owned()]);
        table.toned_row(&["evil\n\u{1b}[2Jname".to_owned()], Tone::Wrong);
        let text = table.text();
        let lines =
            ["NAME                 STATE", "a                    fine", "evil\\n\\u{1b}[2Jname"];
        assert_eq!(text.lines().collect::<Vec<_>>(), lines);
    }
}
