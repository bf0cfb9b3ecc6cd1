//! Tables without lines, as kubectl prints them.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use comfy_table::presets::NOTHING;
use comfy_table::{Cell, ContentArrangement};
use trimtab_core::Printable;

const HEADER: Style = Style::new().bold();

/// What a row's colour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it should be.
    Plain,
    /// On its way.
    Passing,
    /// Not as it should be.
    Wrong,
}

impl Tone {
    const fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Passing => AnsiColor::Yellow.on_default(),
            Self::Wrong => AnsiColor::Red.on_default(),
        }
    }
}

/// A table whose rows are one line each.
pub(super) struct Table {
    table: comfy_table::Table,
    tones: Vec<Tone>,
}

impl Table {
    pub(super) fn new(columns: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(columns.iter().map(Cell::new));
        Self { table, tones: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: &[String]) {
        self.toned_row(cells, Tone::Plain);
    }

    /// Cells that are left out are empty. Names may hold anything, so what does not show is escaped.
    pub(super) fn toned_row(&mut self, cells: &[String], tone: Tone) {
        self.table.add_row(cells.iter().map(|cell| Cell::new(Printable(cell))));
        self.tones.push(tone);
    }

    pub(super) fn text(mut self) -> String {
        for column in self.table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let styles = [HEADER].into_iter().chain(self.tones.iter().map(|tone| tone.style()));
        let mut text = String::new();
        for (line, style) in self.table.lines().zip(styles) {
            let line = line.trim_end();
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
        let mut table = Table::new(&["NAME", "STATE"]);
        table.row(&["a".to_owned(), "fine".to_owned()]);
        table.toned_row(&["evil\n\u{1b}[2Jname".to_owned()], Tone::Wrong);
        let text = anstream::adapter::strip_str(&table.text()).to_string();
        let lines =
            ["NAME                 STATE", "a                    fine", "evil\\n\\u{1b}[2Jname"];
        assert_eq!(text.lines().collect::<Vec<_>>(), lines);
    }
}
