//! How long to wait for the API server.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Time limits and pauses. The defaults are those of client-go where it has them.
#[derive(Clone, Debug)]
pub struct Timing {
    /// How long an answer may take to begin, and how long a list may be silent before it is given
    /// up.
    pub answer: Duration,
    /// How long a watch may be silent. API servers send a bookmark about once a minute; a server
    /// that sends none is asked for a new watch, which it answers from memory.
    pub quiet_watch: Duration,
    /// Seconds after which a watch ends, chosen anew for each: nodes that started together must not
    /// come back together.
    pub watch: RangeInclusive<u64>,
    /// Pauses after failures: the first, and the longest that doubling leads to.
    pub pause: RangeInclusive<Duration>,
    /// A watch that has lived this long since its answer is in order: pauses start anew after it. The
    /// API server counts as back from then on, or from the first thing that the watch sends.
    pub proven: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(45),
            quiet_watch: Duration::from_secs(150),
            watch: 300..=600,
            pause: Duration::from_millis(800)..=Duration::from_secs(30),
            proven: Duration::from_secs(1),
        }
    }
}
