//! Draws what is shown. What it costs depends on the size of the screen, not on that of the cluster.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Row, Sparkline, Table};

use super::amount::amount;
use super::app::{App, Mode, Opened};
use super::ports::{Port, Rates};

const KEYS: &str = "q quit  Enter real servers  Esc back  / search  s or c b a sort  r reverse";
const HINT: &str = "? keys  q quit";
/// The least and the most points of a sparkline, and how wide a screen has to be for one.
const FEWEST: u16 = 12;
const MOST: u16 = 60;
const WIDE: u16 = 80;

/// Draws a frame.
pub(super) fn draw(app: &mut App, frame: &mut Frame<'_>) {
    let rows = [Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)];
    let [head, body, foot] = Layout::vertical(rows).areas(frame.area());
    frame.render_widget(Line::styled(summary(app), Modifier::BOLD), head);
    frame.render_widget(footer(app), foot);
    app.set_page(usize::from(body.height.saturating_sub(1)));
    let has_colours = app.has_colours;
    match &mut app.opened {
        Some(opened) => draw_opened(opened, frame, body),
        None => draw_list(app, has_colours, frame, body),
    }
}

/// What all Services have together, and how they are sorted.
fn summary(app: &App) -> String {
    if let Some(opened) = &app.opened {
        return format!("{} {}: real servers", opened.name.service, opened.name.port);
    }
    let of = match (app.filter.as_str(), app.len()) {
        ("", count) => format!("{count} Service ports"),
        (filter, count) => format!("{count} Service ports with \"{filter}\""),
    };
    let order = if app.is_reversed { "least" } else { "most" };
    format!("{of}: {}; {order} {} first", rates(app.ports.sum()), app.key.words())
}

/// Rates in words.
pub(super) fn rates(sum: Option<Rates>) -> String {
    let Some(sum) = sum else { return "no rates yet".to_owned() };
    let [connections, bytes_in, bytes_out] =
        [sum.connections, sum.bytes_in, sum.bytes_out].map(amount);
    format!("{connections} conn/s, {bytes_in} B/s in, {bytes_out} B/s out")
}

fn footer(app: &App) -> Line<'_> {
    match (app.mode, &app.note) {
        (Mode::Search, _) => Line::raw(format!("/{}_", app.filter)),
        (Mode::Help, _) => Line::raw(KEYS),
        (Mode::Keys, Some(note)) => Line::raw(format!("{HINT}  {note}")),
        (Mode::Keys, None) => Line::raw(HINT),
    }
}

fn right(text: String) -> Cell<'static> {
    Cell::new(Line::raw(text).right_aligned())
}

fn header<'a>(left: &[&'a str], numbers: &[&str]) -> Row<'a> {
    let left = left.iter().map(|text| Cell::new(*text));
    let numbers = numbers.iter().map(|text| right((*text).to_owned()));
    Row::new(left.chain(numbers)).style(Modifier::UNDERLINED)
}

fn draw_list(app: &App, has_colours: bool, frame: &mut Frame<'_>, area: Rect) {
    let spark = match area.width.checked_sub(WIDE) {
        Some(more) => (FEWEST + more / 2).min(MOST),
        None => 0,
    };
    let columns = [Constraint::Min(0), Constraint::Length(spark)];
    let [left, right] = Layout::horizontal(columns).spacing(u16::from(spark > 0)).areas(area);
    let widths = [
        Constraint::Fill(3),
        Constraint::Fill(1),
        Constraint::Length(6),
        Constraint::Length(6),
        Constraint::Length(7),
        Constraint::Length(6),
    ];
    let rows = app.rows().map(|(port, is_selected)| {
        let row = Row::new(cells(port));
        if is_selected { row.style(Modifier::REVERSED) } else { row }
    });
    let numbers = ["CONN/S", "IN B/S", "OUT B/S", "ACTIVE"];
    frame.render_widget(
        Table::new(rows, widths).header(header(&["SERVICE", "PORT"], &numbers)),
        left,
    );
    let style = if has_colours { Style::new().fg(Color::Cyan) } else { Style::new() };
    for ((port, _), line) in app.rows().zip(right.rows().skip(1)) {
        let skipped = port.history.len().saturating_sub(usize::from(spark));
        let points = port.history.iter().skip(skipped).map(|point| app.key.of_point(*point));
        frame.render_widget(Sparkline::default().data(points).style(style), line);
    }
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn cells(port: &Port) -> [Cell<'_>; 6] {
    let rate = |of: fn(&Rates) -> f64| {
        right(port.rates.map_or_else(|| "-".to_owned(), |rates| amount(of(&rates))))
    };
    let active = port.open.map_or_else(|| "-".to_owned(), |open| amount(open.active as f64));
    [
        Cell::new(port.name.service.as_str()),
        Cell::new(port.name.port.as_str()),
        rate(|rates| rates.connections),
        rate(|rates| rates.bytes_in),
        rate(|rates| rates.bytes_out),
        right(active),
    ]
}

/// The real servers of each frontend.
fn draw_opened(opened: &mut Opened, frame: &mut Frame<'_>, area: Rect) {
    let page = usize::from(area.height.saturating_sub(1));
    let count: usize = opened.servers.iter().map(|(_, servers)| servers.len().max(1)).sum();
    opened.top = opened.top.min(count.saturating_sub(page));
    let lines = opened.servers.iter().flat_map(|(frontend, servers)| {
        let none = servers.is_empty().then_some(None);
        none.into_iter().chain(servers.iter().map(Some)).map(move |server| (frontend, server))
    });
    let mut before = None;
    let rows = lines.skip(opened.top).take(page).map(|(frontend, counted)| {
        let is_first = before.replace(frontend) != Some(frontend);
        let frontend = if is_first { frontend.to_string() } else { String::new() };
        let Some(counted) = counted else {
            return Row::new([Cell::new(frontend), Cell::new("none")]);
        };
        let key = counted.server.key;
        let numbers = [counted.server.weight, counted.active, counted.inactive];
        let cells = [
            Cell::new(frontend),
            Cell::new(std::net::SocketAddr::new(key.address, key.port).to_string()),
        ];
        Row::new(cells.into_iter().chain(numbers.map(|number| right(number.to_string()))))
    });
    let widths = [
        Constraint::Fill(1),
        Constraint::Fill(1),
        Constraint::Length(6),
        Constraint::Length(8),
        Constraint::Length(8),
    ];
    let head = header(&["FRONTEND", "REAL SERVER"], &["WEIGHT", "ACTIVE", "INACTIVE"]);
    frame.render_widget(Table::new(rows, widths).header(head), area);
}

#[cfg(test)]
mod tests;
