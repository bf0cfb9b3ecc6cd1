//! `trimtab top`.

use std::io::{ErrorKind, IsTerminal as _, Write as _, stdin, stdout};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use trimtab_admin::SOCKET;

use super::say;
use crate::terminal::has_colours;
use crate::top::kernel::Kernel;
use crate::top::names::{self, Told};
use crate::top::{App, SortKey, lines, screen};

/// Arguments of `trimtab top`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # Which Services have traffic now, as root on the node:
  trimtab top

  # In Trimtab's pod on a node:
  kubectl -n kube-system exec -it ds/trimtab -- trimtab top

  # The ten with the most bytes, as lines: after ten seconds once more, and then no more:
  trimtab top --sort bytes --lines 10 --count 2 --interval 10

Keys: Up, Down, PageUp, PageDown, Home and End move, Enter shows real servers, / searches, c, b and a sort by new connections, bytes and active connections, s by the next of these, r reverses, ? shows the keys, Esc goes back, q and Ctrl-C end it. If standard output is no terminal, lines are printed. Rates are those since the sample before, so the first one has none.")]
pub struct TopArgs {
    /// Seconds between two samples, from 0.1 to 3600. The kernel brings its counters up to date every
    /// two seconds.
    #[arg(short, long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    interval: Duration,
    /// What to sort by at first.
    #[arg(short, long, value_enum, default_value = "connections")]
    sort: SortKey,
    /// Print lines, even on a terminal.
    #[arg(long)]
    plain: bool,
    /// Print lines, and end after so many samples.
    #[arg(long, value_name = "N")]
    count: Option<NonZeroU32>,
    /// How many Service ports to print of each sample.
    #[arg(long, value_name = "N", default_value = "20")]
    lines: usize,
    /// The admin socket of the daemon, which knows the names of Services.
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "not from 0.1 to 3600".to_owned())
}

/// Shows Services with their traffic.
pub(super) fn run(arguments: &TopArgs) -> anyhow::Result<ExitCode> {
    let (told, names) = names::follow(arguments.socket.clone())?;
    let mut kernel = Kernel::open()?;
    let mut app = App::new(arguments.sort, arguments.lines, has_colours(&stdout()));
    let is_plain = arguments.plain
        || arguments.count.is_some()
        || !stdout().is_terminal()
        || !stdin().is_terminal();
    if let Err(why) = &told
        && is_plain
    {
        say("trimtab top", why);
    }
    app.told(told);
    if is_plain {
        print_lines(arguments, &mut app, &mut kernel, &names)?;
    } else {
        screen::show(&mut app, &mut kernel, &names, arguments.interval)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_lines(
    arguments: &TopArgs,
    app: &mut App,
    kernel: &mut Kernel,
    names: &Receiver<Told>,
) -> anyhow::Result<()> {
    let last = arguments.count.map_or(u32::MAX, NonZeroU32::get);
    for number in 1..=last {
        if let Ok(told) = names.try_recv() {
            app.told(told);
        }
        kernel.read(app)?;
        let space = if number > 1 { "\n" } else { "" };
        let text = format!("{space}{}", lines::block(app, Timestamp::now()));
        let mut output = stdout().lock();
        match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
            // Somebody looked at the beginning only: `trimtab top | head`.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
        if number < last {
            std::thread::sleep(arguments.interval);
        }
    }
    Ok(())
}
