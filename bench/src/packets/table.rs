//! The report as a table: a row for each way to the pods.

use super::ratio::{Ratio, median};
use super::report::{Report, Series};
use super::target::Path;
use crate::quantile::Spread;
use crate::table::markdown;

/// What a cell shows when there is nothing to compare with.
const NONE: &str = "-";

/// The whole table, as Markdown.
pub fn render(report: &Report) -> String {
    let mut rows = vec![
        [
            report.machine.as_str(),
            "connections/s",
            "new: p50 / p99 / max, µs",
            "open: p50 / p99 / max, µs",
            "to direct",
            "to no proxy",
            "to fewest Services",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for series in &report.series {
        let rate = median(series.rounds.iter().map(|round| round.rate).collect());
        rows.push(vec![
            name(series),
            rate.map_or(NONE.to_owned(), |rate| format!("{rate:.0}")),
            spread(&series.new),
            spread(&series.kept),
            ratio(series, direct(report, series)),
            ratio(series, bare(report, series)),
            ratio(series, fewest(report, series)),
        ]);
    }
    markdown(&rows)
}

fn name(series: &Series) -> String {
    let way = match series.path {
        Path::Direct => "direct",
        Path::Vip => "VIP",
    };
    match &series.program {
        Some(program) => format!("{program}, {} Services: {way}", series.services),
        None => format!("no proxy: {way}"),
    }
}

fn spread(spread: &Spread) -> String {
    let [p50, p99, max] = [spread.p50, spread.p99, spread.max].map(|time| time * 1e3);
    format!("{p50:.0} / {p99:.0} / {max:.0}")
}

fn ratio(series: &Series, base: Option<&Series>) -> String {
    match base.and_then(|base| Ratio::of(series, base)) {
        Some(Ratio { rate, new, kept }) => format!("{rate:.2} / {new:.2} / {kept:.2}"),
        None => NONE.to_owned(),
    }
}

/// The same pods past the VIP, on the same node.
fn direct<'a>(report: &'a Report, series: &Series) -> Option<&'a Series> {
    let base = (series.path == Path::Vip).then_some(Path::Direct)?;
    report.find(series.program.as_deref(), series.services, base)
}

/// A node without a proxy.
fn bare<'a>(report: &'a Report, series: &Series) -> Option<&'a Series> {
    series.program.as_ref()?;
    report.series.iter().find(|base| base.program.is_none())
}

/// The same program with the fewest Services.
fn fewest<'a>(report: &'a Report, series: &Series) -> Option<&'a Series> {
    let program = series.program.as_deref()?;
    let services = report.fewest(program).filter(|services| *services < series.services)?;
    report.find(Some(program), services, series.path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packets::network::Origin;
    use crate::packets::report::Round;
    use crate::packets::turn::Amount;

    fn series(program: Option<&str>, services: usize, path: Path, rate: f64) -> Series {
        Series {
            program: program.map(str::to_owned),
            services,
            path,
            rounds: vec![Round { rate, new: 1.0 / rate, kept: 0.1 }],
            new: Spread { count: 1, p50: 0.25, p90: 0.375, p99: 0.5, max: 1.5 },
            kept: Spread { count: 1, p50: 0.125, p90: 0.1875, p99: 0.25, max: 0.5 },
        }
    }

    #[test]
    fn each_row_is_compared_with_what_differs_in_one_thing() {
        let report = Report {
            machine: "Linux".to_owned(),
            from: Origin::Pod,
            pods: 2,
            clients: 1,
            endpoints: 1,
            amount: Amount { connections: 1, singles: 1, requests: 1 },
            series: vec![
                series(None, 0, Path::Direct, 2000.0),
                series(Some("trimtab"), 1, Path::Direct, 1000.0),
                series(Some("trimtab"), 1, Path::Vip, 800.0),
                series(Some("trimtab"), 7, Path::Direct, 1000.0),
                series(Some("trimtab"), 7, Path::Vip, 400.0),
            ],
        };
        let text = render(&report);
        let rows: Vec<Vec<&str>> =
            text.lines().map(|line| line.split('|').map(str::trim).collect()).collect();
        let last = rows.last().unwrap();
        assert_eq!(
            last[1..5],
            ["trimtab, 7 Services: VIP", "400", "250 / 500 / 1500", "125 / 250 / 500"]
        );
        assert_eq!(last[5..8], ["0.40 / 2.50 / 1.00", "0.20 / 5.00 / 1.00", "0.50 / 2.00 / 1.00"]);
        // The node without a proxy has nothing to be compared with.
        assert_eq!(rows[2][5..8], ["-", "-", "-"]);
        assert_eq!(rows[4][7], "-", "the fewest Services are their own base");
    }
}
