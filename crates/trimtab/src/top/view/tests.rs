use std::sync::Arc;
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::KeyCode;
use trimtab_core::{Counters, Frontend, Protocol, RealServer, RealServerKey};
use trimtab_linux::CountedRealServer;

use super::super::SortKey;
use super::super::app::Then;
use super::super::ports::{PortName, Sample};
use super::*;

fn frontend(number: u16) -> Frontend {
    let [high, low] = number.to_be_bytes();
    Frontend::new(Protocol::Tcp, [10, 96, high, low].into(), 80)
}

fn sample(seconds: u64, counters: impl IntoIterator<Item = (u16, u64, u64)>) -> Sample {
    let counters = counters.into_iter().map(|(number, connections, bytes)| {
        let counters = Counters { connections, bytes_in: bytes, ..Counters::default() };
        (frontend(number), counters)
    });
    Sample { at: Duration::from_secs(seconds), counters: counters.collect() }
}

fn real_server(number: u8, active: u32) -> CountedRealServer {
    let key = RealServerKey::new([10, 244, 1, number].into(), 8080);
    CountedRealServer { server: RealServer::masqueraded(key), active, inactive: 7 }
}

/// Three Services after two samples: web has the most connections, mail the most bytes, names the
/// most active connections.
fn three() -> App {
    let mut app = App::new(SortKey::Connections, 20, false);
    let names =
        ["shop/mail", "shop/names", "shop/web"].into_iter().zip(1..).map(|(name, number)| {
            let name = PortName { service: name.to_owned(), port: "http TCP".to_owned() };
            (frontend(number), Arc::new(name))
        });
    app.told(Ok(names.collect()));
    app.take(&sample(0, [(1, 100, 0), (2, 100, 0), (3, 100, 0)]));
    app.take(&sample(2, [(1, 102, 9_000_000), (2, 104, 0), (3, 200, 2400)]));
    for (number, active) in [(1, 1), (2, 5), (3, 3)] {
        app.counted(vec![(frontend(number), vec![real_server(11, active), real_server(12, 0)])]);
    }
    app
}

fn screen(app: &mut App, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(app, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let lines = buffer.content().chunks(usize::from(width.max(1)));
    lines.map(|line| line.iter().map(ratatui::buffer::Cell::symbol).collect::<String>()).collect()
}

fn press(app: &mut App, keys: &str) {
    for key in keys.chars() {
        let key = match key {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            'v' => KeyCode::Down,
            key => KeyCode::Char(key),
        };
        assert_eq!(app.on_key(key), Then::Draw);
    }
}

/// The Services on the screen, from the top.
fn services(app: &mut App) -> Vec<String> {
    let lines = screen(app, 80, 24).into_iter().skip(2);
    let words = lines.filter_map(|line| Some(line.split_whitespace().next()?.to_owned()));
    words.filter(|word| word.find('/') > Some(0)).collect()
}

#[test]
fn services_are_drawn_with_rates_and_sparklines() {
    let drawn = screen(&mut three(), 80, 24);
    let head = "3 Service ports: 53 conn/s, 4.5M B/s in, 0 B/s out; most new connections first";
    assert_eq!(drawn[0].trim_end(), head);
    for (line, words) in [
        (1, "SERVICE PORT CONN/S IN B/S OUT B/S ACTIVE"),
        (2, "shop/web http TCP 50 1.2k 0 3 █"),
        (3, "shop/names http TCP 2 0 0 5 █"),
        (4, "shop/mail http TCP 1 4.5M 0 1 █"),
        (23, "? keys q quit"),
    ] {
        assert_eq!(drawn[line].split_whitespace().collect::<Vec<_>>().join(" "), words);
    }
    assert!(drawn[5..23].iter().all(|line| line.trim().is_empty()), "{drawn:#?}");
}

#[test]
fn keys_sort_and_reverse() {
    let mut app = three();
    for (keys, order) in [
        ("b", ["shop/mail", "shop/web", "shop/names"]),
        ("a", ["shop/names", "shop/web", "shop/mail"]),
        ("r", ["shop/mail", "shop/web", "shop/names"]),
        ("rs", ["shop/web", "shop/names", "shop/mail"]),
        ("s", ["shop/mail", "shop/web", "shop/names"]),
        ("c", ["shop/web", "shop/names", "shop/mail"]),
    ] {
        press(&mut app, keys);
        assert_eq!(services(&mut app), order, "{keys}");
    }
}

#[test]
fn a_search_leaves_what_has_the_text() {
    let mut app = three();
    press(&mut app, "/WE");
    assert_eq!(services(&mut app), ["shop/web"]);
    assert!(screen(&mut app, 80, 24)[23].starts_with("/WE_ "));
    // q is a letter here, and a key again after Enter.
    press(&mut app, "q\n");
    assert_eq!(services(&mut app).len(), 0);
    assert!(screen(&mut app, 80, 24)[0].starts_with("0 Service ports with \"WEq\""));
    press(&mut app, "\n\u{1b}");
    assert_eq!(services(&mut app).len(), 3);
    assert_eq!(app.on_key(KeyCode::Esc), Then::Quit);
    assert_eq!(app.on_key(KeyCode::Char('q')), Then::Quit);
}

#[test]
fn enter_opens_the_selected_service_until_it_is_gone() {
    let mut app = three();
    // The selection stays with its Service when the order changes.
    press(&mut app, "vb\u{63}v\n");
    assert_eq!(app.wanted(false), [frontend(2)]);
    app.counted(vec![(frontend(2), vec![real_server(11, 5), real_server(12, 0)])]);
    let drawn = screen(&mut app, 80, 24);
    assert!(drawn[0].starts_with("shop/names http TCP: real servers"), "{drawn:#?}");
    let words = |line: usize| drawn[line].split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words(2), "TCP 10.96.0.2:80 10.244.1.11:8080 1 5 7");
    assert_eq!(words(3), "10.244.1.12:8080 1 0 7");
    press(&mut app, "\u{1b}");
    assert_eq!(services(&mut app).len(), 3);
    press(&mut app, "\n");
    app.take(&sample(3, [(1, 102, 0)]));
    assert_eq!(services(&mut app), ["shop/mail"]);
}

#[test]
fn the_selection_stays_with_its_service() {
    let mut app = three();
    press(&mut app, "v");
    app.take(&sample(3, [(1, 102, 9_000_000), (2, 900, 0), (3, 200, 2400)]));
    press(&mut app, "\n");
    assert!(screen(&mut app, 80, 24)[0].starts_with("shop/names "));
}

#[test]
fn every_size_can_be_drawn() {
    let mut app = three();
    for keys in ["", "?", "/x", "\u{1b}\n"] {
        press(&mut app, keys);
        for (width, height) in
            [(0, 0), (1, 1), (2, 2), (5, 3), (79, 4), (80, 24), (300, 1), (3, 90)]
        {
            screen(&mut app, width, height);
        }
    }
}

/// Ten thousand Services, of which every tenth has traffic.
fn ten_thousand(seconds: u64) -> Sample {
    let count =
        |number: u16| if number.is_multiple_of(10) { seconds * u64::from(number) } else { 0 };
    sample(seconds, (0..10_000).map(|number| (number, count(number), count(number) * 100)))
}

#[test]
fn of_ten_thousand_services_those_on_the_screen_are_drawn_and_read() {
    let mut app = App::new(SortKey::Connections, 20, true);
    let mut terminal = Terminal::new(TestBackend::new(100, 24)).unwrap();
    // What it costs is printed, and not asserted: that depends on the machine.
    let (mut samples, mut frames) = (Vec::new(), Vec::new());
    for seconds in 0..70 {
        let sample = ten_thousand(seconds);
        let start = Instant::now();
        app.take(&sample);
        samples.push(start.elapsed());
        let start = Instant::now();
        terminal.draw(|frame| draw(&mut app, frame)).unwrap();
        frames.push(start.elapsed());
    }
    for (what, mut costs) in [("sample", samples), ("frame", frames)] {
        costs.sort_unstable();
        println!("{what}: median {:?}, longest {:?}", costs[35], costs[69]);
    }
    assert_eq!((app.rows().count(), app.wanted(true).len()), (21, 21));
    assert_eq!(app.wanted(true)[0], frontend(9990));
    assert_eq!(app.on_key(KeyCode::End), Then::Draw);
    assert_eq!(app.wanted(true).len(), 21);
    assert_eq!(app.on_key(KeyCode::Home), Then::Draw);
    let points: usize = app.ports.all().iter().map(|port| port.history.len()).sum();
    assert_eq!(points, 999 * 60);
    // Sorting by active connections takes those that ever had a connection, some at a time.
    press(&mut app, "a");
    let mut asked = std::collections::HashSet::new();
    for _ in 0..2 {
        let wanted = app.wanted(true);
        assert!(wanted.len() <= 521, "{}", wanted.len());
        asked.extend(wanted);
    }
    assert_eq!(asked.len(), 999);
}
