//! The report as a table: a row for each measure, a column for each program and cluster.

use std::fmt::Write as _;

use crate::process::Cpu;
use crate::quantile::Spread;
use crate::report::{Proxy, Report, Run};
use crate::scrape::Own;

/// What a cell shows when nothing was measured.
const NONE: &str = "-";

type Cell = fn(&Run, &Proxy) -> Option<String>;

/// Every row: its name and how it is read.
const ROWS: &[(&str, Cell)] = &[
    ("floor: bare loop, same bytes, s", |_, proxy| Some(seconds(proxy.floor.seconds))),
    ("  ipsets + IPVS + VIPs, s", |_, proxy| {
        let floor = &proxy.floor;
        Some(format!(
            "{:.2} + {:.2} + {:.2}",
            floor.ipset_seconds, floor.ipvs_seconds, floor.binding_seconds
        ))
    }),
    ("  messages / bytes", |_, proxy| {
        Some(format!("{} / {}", proxy.floor.messages, proxy.floor.bytes))
    }),
    ("cold start, s", |_, proxy| Some(seconds(proxy.cold_start?.seconds))),
    ("  as a multiple of the floor", |_, proxy| Some(format!("{:.2}", proxy.cold_start?.ratio))),
    ("  CPU, s (in the kernel)", |_, proxy| Some(cpu(proxy.cold_start?.cpu))),
    ("  CPU of the API server, s", |_, proxy| Some(cpu(proxy.cold_start?.api_cpu))),
    ("  messages / bytes", |_, proxy| {
        let traffic = proxy.cold_start?.traffic?;
        Some(format!("{} / {}", traffic.messages, traffic.bytes))
    }),
    ("  messages a system call", |_, proxy| {
        let traffic = proxy.cold_start?.traffic?;
        Some(format!("{:.1}", traffic.messages / traffic.sends.max(1.0)))
    }),
    ("  pages touched", |_, proxy| Some(proxy.cold_start?.page_faults.to_string())),
    ("  processes and threads started", |_, proxy| Some(proxy.cold_start?.forks.to_string())),
    ("  resident / peak, MiB", |_, proxy| {
        let memory = proxy.cold_start?.memory;
        Some(format!("{:.1} / {:.1}", mebi(memory.resident), mebi(memory.peak)))
    }),
    ("idle: CPU, % of a processor", |_, proxy| Some(format!("{:.2}", proxy.idle?.percent))),
    ("  comparisons with the kernel", |_, proxy| Some(proxy.idle?.audits.to_string())),
    ("  resident, MiB", |_, proxy| Some(format!("{:.1}", mebi(proxy.idle?.memory.resident)))),
    ("one change: p50 / p90 / p99 / max, ms", |_, proxy| {
        let latency = proxy.event?.latency;
        Some(spread(latency))
    }),
    ("  changes seen / lost", |_, proxy| {
        let event = proxy.event?;
        Some(format!("{} / {}", event.latency.count, event.lost))
    }),
    ("  from its arrival: p50 / p90 / p99 / max, ms", |_, proxy| Some(spread(proxy.event?.own?))),
    ("  messages / bytes a change", |_, proxy| {
        let event = proxy.event?;
        let (traffic, changes) = (event.traffic?, per(event.latency.count));
        Some(format!("{:.2} / {:.0}", traffic.messages / changes, traffic.bytes / changes))
    }),
    ("  CPU a change, ms", |_, proxy| {
        let event = proxy.event?;
        Some(format!("{:.3}", 1e3 * event.cpu.total() / per(event.latency.count)))
    }),
    ("churn: changes a second", |_, proxy| {
        let churn = proxy.churn?;
        Some(format!("{:.0} for {:.0} s", per(churn.changes) / churn.seconds, churn.seconds))
    }),
    ("  lag p50 / p90 / p99 / max, ms", |_, proxy| {
        let lag = proxy.churn?.lag;
        Some(spread(lag))
    }),
    ("  from the first arrival: mean / p99, ms", |_, proxy| Some(own(proxy.churn?.own?))),
    ("  CPU, % of a processor (in the kernel)", |_, proxy| {
        let churn = proxy.churn?;
        let percent = 100.0 * churn.cpu.total() / churn.seconds;
        Some(format!("{percent:.0}{}", in_the_kernel(churn.cpu)))
    }),
    ("  messages a change", |_, proxy| {
        let churn = proxy.churn?;
        Some(format!("{:.2}", churn.traffic?.messages / per(churn.changes)))
    }),
    ("  exact in the end / not seen in time", |_, proxy| {
        let churn = proxy.churn?;
        Some(format!("{} / {}", yes(churn.exact?), churn.lost))
    }),
    ("  resident / peak, MiB", |_, proxy| {
        let memory = proxy.churn?.memory;
        Some(format!("{:.1} / {:.1}", mebi(memory.resident), mebi(memory.peak)))
    }),
    ("new start on a full kernel, s", |_, proxy| Some(seconds(proxy.restart?.seconds))),
    ("  CPU, s (in the kernel)", |_, proxy| Some(cpu(proxy.restart?.cpu))),
    ("  messages that change something", |_, proxy| {
        Some(proxy.restart?.traffic?.messages.to_string())
    }),
    ("  resident / peak, MiB", |_, proxy| {
        let memory = proxy.restart?.memory;
        Some(format!("{:.1} / {:.1}", mebi(memory.resident), mebi(memory.peak)))
    }),
    ("rolling update: endpoints", |_, proxy| Some(proxy.rolling?.endpoints.to_string())),
    ("  messages", |_, proxy| Some(proxy.rolling?.traffic?.messages.to_string())),
    ("  CPU, s (in the kernel)", |_, proxy| Some(cpu(proxy.rolling?.cpu))),
    ("  exact in the end", |_, proxy| Some(yes(proxy.rolling?.exact?).to_owned())),
];

/// The whole table, as Markdown.
pub fn render(report: &Report) -> String {
    let columns: Vec<(&Run, &Proxy)> = report
        .runs
        .iter()
        .flat_map(|run| run.proxies.iter().map(move |proxy| (run, proxy)))
        .collect();
    let mut rows = vec![vec![format!("Services x endpoints, on {}", report.machine)]];
    for (run, proxy) in &columns {
        rows[0].push(format!("{} x {}: {}", run.services, run.endpoints, proxy.name));
    }
    for (name, cell) in ROWS {
        // Indentation would be lost.
        let name = name.strip_prefix("  ").map_or((*name).to_owned(), |name| format!("· {name}"));
        let mut row = vec![name];
        for (run, proxy) in &columns {
            row.push(cell(run, proxy).unwrap_or_else(|| NONE.to_owned()));
        }
        if row[1..].iter().any(|cell| cell != NONE) {
            rows.push(row);
        }
    }
    let mut text = markdown(&rows);
    for (run, proxy) in &columns {
        if let Some(failure) = &proxy.failure {
            let _ = writeln!(text, "\n{} at {} Services: {failure}", proxy.name, run.services);
        }
    }
    text
}

/// Rows of cells as a table in Markdown, the first row as its heading.
pub fn markdown(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if column == 0 {
                write!(text, "| {cell:width$} ")
            } else {
                write!(text, "| {cell:>width$} ")
            };
        }
        text.push_str("|\n");
        if number == 0 {
            for (column, width) in widths.iter().enumerate() {
                let (dashes, end) = ("-".repeat(width + 1), if column == 0 { "-" } else { ":" });
                let _ = write!(text, "|{dashes}{end}");
            }
            text.push_str("|\n");
        }
    }
    text
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.3}")
}

fn spread(times: Spread) -> String {
    format!("{:.2} / {:.2} / {:.2} / {:.2}", times.p50, times.p90, times.p99, times.max)
}

fn own(own: Own) -> String {
    format!("{:.3} / below {:.0}", own.mean, own.p99_below)
}

fn in_the_kernel(cpu: Cpu) -> String {
    cpu.kernel_share().map_or_else(String::new, |share| format!(" ({:.0} %)", 100.0 * share))
}

fn cpu(cpu: Cpu) -> String {
    format!("{:.2}{}", cpu.total(), in_the_kernel(cpu))
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn mebi(kibi: u64) -> f64 {
    kibi as f64 / 1024.0
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn per(count: usize) -> f64 {
    count.max(1) as f64
}

const fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "NO" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Idle;

    #[test]
    fn what_nobody_measured_has_no_row() {
        let idle = Some(Idle { percent: 0.5, ..Idle::default() });
        let proxies = vec![
            Proxy { name: "a".into(), idle, ..Proxy::default() },
            Proxy { name: "b".into(), failure: Some("it ended".into()), ..Proxy::default() },
        ];
        let run = Run { services: 7, endpoints: 2, proxies };
        let text = render(&Report { runs: vec![run], ..Report::default() });
        assert!(text.contains("7 x 2: a"), "{text}");
        let idle = text.lines().find(|line| line.contains("idle: CPU")).unwrap();
        assert!(idle.contains("0.50") && idle.contains("- |"), "{text}");
        assert!(!text.contains("churn"), "{text}");
        assert!(text.ends_with("b at 7 Services: it ended\n"), "{text}");
    }
}
