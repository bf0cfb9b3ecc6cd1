//! Reads counters and real servers.

use std::time::Instant;

use trimtab_linux::{IpvsError, IpvsView};

use super::App;
use super::ports::Sample;

/// IPVS, and when the program began to look.
#[derive(Debug)]
pub(crate) struct Kernel {
    ipvs: IpvsView,
    start: Instant,
}

impl Kernel {
    /// # Errors
    /// If the kernel has no IPVS at present.
    pub(crate) fn open() -> Result<Self, IpvsError> {
        Ok(Self { ipvs: IpvsView::open()?, start: Instant::now() })
    }

    /// Reads the counters of all virtual servers with one request, and then the connections of the
    /// Service ports that are shown.
    ///
    /// # Errors
    /// If the kernel cannot be read.
    pub(crate) fn read(&mut self, app: &mut App) -> Result<(), IpvsError> {
        let counters = self.ipvs.counters()?;
        app.take(&Sample { at: self.start.elapsed(), counters });
        self.count(app, true)
    }

    /// Reads connections: a request for each virtual server that is wanted.
    ///
    /// # Errors
    /// As [`Kernel::read`].
    pub(crate) fn count(&mut self, app: &mut App, more: bool) -> Result<(), IpvsError> {
        let mut found = Vec::new();
        for frontend in app.wanted(more) {
            found.push((frontend, self.ipvs.real_servers(&frontend)?));
        }
        app.counted(found);
        Ok(())
    }
}
