//! The terminal: keys, and when to read and to draw.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};

use super::App;
use super::app::Then;
use super::kernel::Kernel;
use super::names::Told;
use super::view::draw;

/// Shows it until a key ends it. The terminal is as before afterwards, whatever happens.
///
/// # Errors
/// If the terminal cannot be used, or the kernel cannot be read.
pub(crate) fn show(
    app: &mut App,
    kernel: &mut Kernel,
    names: &Receiver<Told>,
    interval: Duration,
) -> anyhow::Result<()> {
    // It also restores the terminal when the program panics.
    let mut terminal = ratatui::try_init()?;
    let shown = follow(&mut terminal, app, kernel, names, interval);
    let restored = ratatui::try_restore();
    shown?;
    Ok(restored?)
}

fn follow(
    terminal: &mut DefaultTerminal,
    app: &mut App,
    kernel: &mut Kernel,
    names: &Receiver<Told>,
    interval: Duration,
) -> anyhow::Result<()> {
    let mut next = Instant::now();
    loop {
        if let Ok(told) = names.try_recv() {
            app.told(told);
        }
        if Instant::now() >= next {
            kernel.read(app)?;
            next = Instant::now() + interval;
        }
        terminal.draw(|frame| draw(app, frame))?;
        if !event::poll(next.saturating_duration_since(Instant::now()))? {
            continue;
        }
        let Event::Key(key) = event::read()? else { continue };
        if !key.is_press() {
            continue;
        }
        let is_interrupt =
            key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        if is_interrupt || app.on_key(key.code) == Then::Quit {
            return Ok(());
        }
        // What the key brought on the screen has its connections now and not with the next sample.
        kernel.count(app, false)?;
    }
}
