//! What was measured, as it goes to the JSON file.

use serde::{Deserialize, Serialize};

use super::network::Origin;
use super::target::Path;
use super::turn::Amount;
use crate::quantile::Spread;

/// All of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The kernel's release and processors.
    pub machine: String,
    /// Where requests came from.
    pub from: Origin,
    /// Endpoints of the measured Service.
    pub pods: u8,
    /// Clients that called at the same time.
    pub clients: u8,
    /// Endpoints of each Service that nobody called.
    pub endpoints: usize,
    /// What was measured in each round.
    pub amount: Amount,
    /// One for each program, number of Services and way to the pods.
    pub series: Vec<Series>,
}

/// What was measured of one way, round by round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Series {
    /// What the program is called; none on a node without a proxy.
    pub program: Option<String>,
    /// Services that it had.
    pub services: usize,
    /// How the pods were reached.
    pub path: Path,
    /// The rounds; those of the same number were measured one after the other.
    pub rounds: Vec<Round>,
    /// Milliseconds to the first answer on a new connection, of all rounds.
    pub new: Spread,
    /// Milliseconds to an answer on a connection that was open, of all rounds.
    pub kept: Spread,
}

/// One round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// New connections a second.
    pub rate: f64,
    /// The median time to the first answer on a new connection, in milliseconds.
    pub new: f64,
    /// The median time to an answer on a connection that was open, in milliseconds.
    pub kept: f64,
}

impl Report {
    /// What was measured of one way.
    pub fn find(&self, program: Option<&str>, services: usize, path: Path) -> Option<&Series> {
        self.series.iter().find(|series| {
            series.program.as_deref() == program
                && series.services == services
                && series.path == path
        })
    }

    /// The fewest Services that a program was measured with.
    pub fn fewest(&self, program: &str) -> Option<usize> {
        let own = self.series.iter().filter(|series| series.program.as_deref() == Some(program));
        own.map(|series| series.services).min()
    }
}
