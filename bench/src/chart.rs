//! Time per change against the number of Services, as an SVG drawing.

use std::fmt::Write as _;

use crate::report::Report;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 180.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 60.0;
const COLOURS: [&str; 5] = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e"];

/// A line: its name and its points, as Services and milliseconds.
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
    dashed: bool,
    colour: &'static str,
}

/// Both axes are logarithmic; `None` if no single change was measured.
pub fn render(report: &Report) -> Option<String> {
    let lines = lines(report);
    let all = || lines.iter().flat_map(|line| &line.points);
    let x = Axis::over(all().map(|point| point.0), LEFT, WIDTH - RIGHT)?;
    let y = Axis::over(all().map(|point| point.1), HEIGHT - BOTTOM, TOP)?;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    text(&mut svg, (LEFT, TOP - 25.0), "start", "Time from one endpoint's change to the kernel");
    for tick in x.ticks() {
        let at = x.place(tick);
        rule(&mut svg, (at, TOP), (at, HEIGHT - BOTTOM));
        text(&mut svg, (at, HEIGHT - BOTTOM + 18.0), "middle", &tick.to_string());
    }
    for tick in y.ticks() {
        let at = y.place(tick);
        rule(&mut svg, (LEFT, at), (WIDTH - RIGHT, at));
        text(&mut svg, (LEFT - 8.0, at + 4.0), "end", &format!("{tick} ms"));
    }
    let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
    text(&mut svg, (middle, HEIGHT - 18.0), "middle", "Services");
    for (number, line) in (0u32..).zip(&lines) {
        let Line { name, points, dashed, colour } = line;
        let dashes = if *dashed { " stroke-dasharray=\"6 4\"" } else { "" };
        let places: Vec<String> = points
            .iter()
            .map(|(services, time)| format!("{:.1},{:.1}", x.place(*services), y.place(*time)))
            .collect();
        let path = places.join(" ");
        let _ = writeln!(
            svg,
            "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/>"
        );
        for (services, time) in points {
            let (x, y) = (x.place(*services), y.place(*time));
            let _ =
                writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
        }
        let at = TOP + 18.0 * f64::from(number);
        let (from, to) = (WIDTH - RIGHT + 15.0, WIDTH - RIGHT + 45.0);
        let _ = writeln!(
            svg,
            "<line x1=\"{from}\" y1=\"{at}\" x2=\"{to}\" y2=\"{at}\" stroke=\"{colour}\" \
             stroke-width=\"2\"{dashes}/>"
        );
        text(&mut svg, (to + 6.0, at + 4.0), "start", name);
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

fn lines(report: &Report) -> Vec<Line> {
    let mut names: Vec<&str> = Vec::new();
    for proxy in report.runs.iter().flat_map(|run| &run.proxies) {
        if !names.contains(&proxy.name.as_str()) {
            names.push(&proxy.name);
        }
    }
    let mut lines = Vec::new();
    for (name, colour) in names.into_iter().zip(COLOURS.into_iter().cycle()) {
        for (what, dashed) in [("p50", false), ("p99", true)] {
            let mut points = Vec::new();
            for run in &report.runs {
                let proxy = run.proxies.iter().find(|proxy| proxy.name == name);
                if let Some(event) = proxy.and_then(|proxy| proxy.event) {
                    let time = if dashed { event.latency.p99 } else { event.latency.p50 };
                    // A logarithm needs something to start from.
                    points.push((services(run.services), time.max(0.001)));
                }
            }
            if !points.is_empty() {
                lines.push(Line { name: format!("{name}, {what}"), points, dashed, colour });
            }
        }
    }
    lines
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn services(count: usize) -> f64 {
    count.max(1) as f64
}

/// A logarithmic scale over whole decades.
struct Axis {
    first: i32,
    last: i32,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Option<Self> {
        let decades = values.map(f64::log10);
        let (low, high) = decades.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), at| {
            (low.min(at), high.max(at))
        });
        if !low.is_finite() || !high.is_finite() {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "decades of measured values")]
        let (first, last) = (low.floor() as i32, high.ceil() as i32);
        Some(Self { first, last: last.max(first + 1), from, to })
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value.log10() - f64::from(self.first)) / f64::from(self.last - self.first);
        self.from + share * (self.to - self.from)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        (self.first..=self.last).map(|decade| {
            let tick = 10f64.powi(decade);
            // 10^-3 is not exact; its decimals are.
            (tick * 1e6).round() / 1e6
        })
    }
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ =
        writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
}

fn rule(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#ddd\"/>",
        from.0, from.1, to.0, to.1
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantile::Spread;
    use crate::report::{Event, Proxy, Run};

    #[test]
    fn every_program_has_two_lines_inside_the_frame() {
        let run = |services, p50, p99| {
            let latency = Spread { count: 9, p50, p90: p50, p99, max: p99 };
            let event = Some(Event { latency, ..Event::default() });
            let proxy = Proxy { name: "a<b".into(), event, ..Proxy::default() };
            Run { services, proxies: vec![proxy], ..Run::default() }
        };
        let runs = vec![run(1000, 0.4, 0.9), run(50_000, 0.5, 70.0)];
        let lines = lines(&Report { runs: runs.clone(), ..Report::default() });
        assert_eq!(lines.len(), 2);
        let svg = render(&Report { runs, ..Report::default() }).unwrap();
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert_eq!(svg.matches("<circle").count(), 4);
        assert!(svg.contains("a&lt;b, p99") && svg.contains(">100000<"), "{svg}");
        assert!(render(&Report::default()).is_none());
    }

    #[test]
    fn a_decade_is_as_long_as_the_next() {
        let axis = Axis::over([2.0, 700.0].into_iter(), 0.0, 300.0).unwrap();
        let places: Vec<f64> = axis.ticks().map(|tick| axis.place(tick).round()).collect();
        assert_eq!(places, [0.0, 100.0, 200.0, 300.0]);
    }
}
