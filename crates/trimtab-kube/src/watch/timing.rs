//! Timeouts of requests to the API server.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Timeouts and pauses. The defaults are client-go's, where it has them.
#[derive(Clone, Debug)]
pub struct Timing {
    /// How long an answer may take to begin, and how long a list may be silent.
    pub answer: Duration,
    /// How long a watch may be silent. API servers send a bookmark about once a minute; if a server
    /// sends none, a new watch is requested, which it answers from memory.
    pub quiet_watch: Duration,
    /// How long a watch that begins with the state may show no further object of it, and no mark of
    /// its end, before a list is requested instead.
    pub quiet_state: Duration,
    /// Seconds after which a watch ends, chosen anew for each: nodes that started together must not
    /// come back together.
    pub watch: RangeInclusive<u64>,
    /// Pauses after failures: the first, and the longest.
    pub pause: RangeInclusive<Duration>,
    /// A watch that has lasted this long since its answer counts as working: the back-off is reset.
    /// The API server counts as back from then on, or from the first event of the watch.
    pub proven: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(45),
            quiet_watch: Duration::from_secs(150),
            quiet_state: Duration::from_secs(15),
            watch: 300..=600,
            pause: Duration::from_millis(800)..=Duration::from_secs(30),
            proven: Duration::from_secs(1),
        }
    }
}
