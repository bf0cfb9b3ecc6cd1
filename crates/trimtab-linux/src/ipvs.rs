//! IPVS. After its module has been reloaded, its family number is looked up again, and it holds
//! nothing.

use tracing::warn;
use trimtab_ipvs::{Batch, Client, Error, ModuleOptions};
use trimtab_netlink::Report;

/// A client, and how to find IPVS again.
#[derive(Debug)]
pub(super) struct Ipvs {
    client: Client,
    module: ModuleOptions,
    /// It was found again since this was last asked.
    renewed: bool,
}

impl Ipvs {
    pub(super) fn connect(module: ModuleOptions) -> Result<Self, Error> {
        Ok(Self { client: Client::connect(&module)?, module, renewed: false })
    }

    /// Asks IPVS, once more if it had to be found again.
    pub(super) fn ask<T>(
        &mut self,
        mut question: impl FnMut(&mut Client) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match question(&mut self.client) {
            Err(error) if !error.is_not_permitted() && self.is_found_again() => {
                warn!("{error}: the module was loaded again, all is to be programmed anew");
                question(&mut self.client)
            }
            answered => answered,
        }
    }

    /// As [`Client::apply`]. If IPVS had to be found again, it is tried once more; what it says then
    /// is the truth.
    pub(super) fn apply(&mut self, batch: &mut Batch) -> Result<Report, Error> {
        let report = self.client.apply(batch)?;
        let missing = report.failures.iter().any(|failure| failure.refusal.errno.is_no_entry());
        if missing && self.is_found_again() {
            warn!("the module of IPVS was loaded again, all is to be programmed anew");
            return self.client.apply(batch);
        }
        Ok(report)
    }

    /// The client itself.
    pub(super) fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Why IPVS cannot be had at all, if it cannot.
    pub(super) fn is_lost(&mut self) -> Option<Error> {
        self.client.info().err()
    }

    /// Whether IPVS has lost what it held since this was last asked.
    pub(super) fn take_renewed(&mut self) -> bool {
        std::mem::take(&mut self.renewed)
    }

    /// Whether IPVS does not answer by the number that it had, and does by another.
    fn is_found_again(&mut self) -> bool {
        if self.client.info().is_ok() {
            return false;
        }
        let found = self.client.find_again(&self.module).unwrap_or(false);
        self.renewed |= found;
        found
    }
}
