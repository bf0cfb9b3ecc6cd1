//! What is shown as lines, for what is no terminal.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::amount::amount;
use super::app::App;
use super::view::rates;
use crate::status::table::Table;

/// One block: a line about all Services together, and the table of those that come first.
pub(crate) fn block(app: &App, now: Timestamp) -> String {
    let columns =
        ["SERVICE", "PORT", "CONN/S", "IN B/S", "OUT B/S", "ACTIVE", "INACTIVE", "CONNECTIONS"];
    let mut table = Table::new(&columns, app.has_colours);
    for (port, _) in app.rows() {
        let rates = port.rates.map_or([const { None }; 3], |rates| {
            [rates.connections, rates.bytes_in, rates.bytes_out].map(|rate| Some(amount(rate)))
        });
        let open = port.open.map_or([None; 2], |open| [Some(open.active), Some(open.inactive)]);
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let mut cells = vec![port.name.service.clone(), port.name.port.clone()];
        cells.extend(rates.map(or_none));
        cells.extend(open.map(|count| or_none(count.map(|count| count.to_string()))));
        cells.push(port.total.connections.to_string());
        table.row(&cells);
    }
    let mut text = String::new();
    let now = now.strftime("%H:%M:%SZ");
    let (count, sum) = (app.len(), rates(app.ports.sum()));
    let _ = writeln!(text, "{now}  {count} Service ports: {sum}");
    text + &table.text()
}
