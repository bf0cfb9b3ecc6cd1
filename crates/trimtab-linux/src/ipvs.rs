//! IPVS. After its module has been reloaded, its family number is looked up again, and it holds
//! nothing.

use tracing::warn;
use trimtab_ipvs::{Batch, Client, Error, ModuleOptions};
use trimtab_netlink::Report;

/// A client, and how to look IPVS up again.
#[derive(Debug)]
pub(super) struct Ipvs {
    client: Client,
    module: ModuleOptions,
    /// Whether IPVS was looked up again since this was last queried.
    renewed: bool,
}

impl Ipvs {
    pub(super) fn connect(module: ModuleOptions) -> Result<Self, Error> {
        Ok(Self { client: Client::connect(&module)?, module, renewed: false })
    }

    /// Sends a request to IPVS, and repeats it if IPVS had to be looked up again.
    pub(super) fn ask<T>(
        &mut self,
        mut question: impl FnMut(&mut Client) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match question(&mut self.client) {
            Err(error) if !error.is_not_permitted() && self.is_found_again() => {
                warn!("{error}: the module was reloaded, programming everything again");
                question(&mut self.client)
            }
            answered => answered,
        }
    }

    /// As [`Client::apply`]. If IPVS had to be looked up again, the batch is sent once more, and
    /// the second result counts.
    pub(super) fn apply(&mut self, batch: &mut Batch) -> Result<Report, Error> {
        let report = self.client.apply(batch)?;
        let missing = report.failures.iter().any(|failure| failure.refusal.errno.is_no_entry());
        if missing && self.is_found_again() {
            warn!("the module of IPVS was reloaded, programming everything again");
            return self.client.apply(batch);
        }
        Ok(report)
    }

    /// The client itself.
    pub(super) fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Why IPVS is unavailable, if it is.
    pub(super) fn is_lost(&mut self) -> Option<Error> {
        self.client.info().err()
    }

    /// Whether IPVS has lost its objects since this was last queried.
    pub(super) fn take_renewed(&mut self) -> bool {
        std::mem::take(&mut self.renewed)
    }

    /// Whether IPVS has a new family number.
    fn is_found_again(&mut self) -> bool {
        if self.client.info().is_ok() {
            return false;
        }
        let found = self.client.find_again(&self.module).unwrap_or(false);
        self.renewed |= found;
        found
    }
}
