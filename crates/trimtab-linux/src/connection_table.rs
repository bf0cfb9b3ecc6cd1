//! The size of IPVS's connection table, a parameter of the kernel module.
//!
//! Before Linux 7.1 the number of buckets is fixed when the module is loaded, 4,096 by default, and
//! looking up a packet's connection walks its bucket. Since then the table grows by itself.

use std::path::Path;

use tracing::warn;
use trimtab_host::kernel_version::KernelVersion;
use trimtab_ipvs::ModuleOptions;

use crate::error::Error;
use crate::options::Options;

/// The first version whose table grows by itself.
const GROWS: KernelVersion = KernelVersion::new(7, 1);
/// A bucket is a pointer: 2^20 of them are 8 MiB. Kernels before 6.6 accept no more.
const MOST_BITS: u32 = 20;
/// The module's default (`CONFIG_IP_VS_TAB_BITS`).
const LEAST_BITS: u32 = 12;
/// The average chain length when connection tracking is full.
const CHAIN: u32 = 4;
/// The chain length from which on there is a warning.
const LONG_CHAIN: u32 = 32;

/// How to load the module if it is missing.
pub(super) fn module_options(options: &Options) -> ModuleOptions {
    let bits = options.connection_table_bits.or_else(|| {
        let connections = options.conntrack.max_entries()?;
        u8::try_from(fitting_bits(connections)).ok()
    });
    let module = ModuleOptions::default();
    match bits {
        Some(bits) => module.connection_table_bits(bits),
        None => module,
    }
}

fn fitting_bits(connections: u32) -> u32 {
    let buckets = (connections / CHAIN).max(1);
    // Rounded up: the first power of two that is not less.
    (u32::BITS - (buckets - 1).leading_zeros()).clamp(LEAST_BITS, MOST_BITS)
}

/// Warns if the module was loaded with a table that is too small, and says how to get a larger one.
pub(super) fn check(ipvs: &mut trimtab_ipvs::Client, options: &Options) -> Result<(), Error> {
    if let Some((buckets, bits)) = shortage(ipvs, options)? {
        warn!(
            buckets,
            "IPVS's connection table is small for this node: lookups will slow down under load. Its \
             size is set when the module loads: put \"options ip_vs conn_tab_bits={bits}\" in \
             /etc/modprobe.d/ip_vs.conf and restart the node"
        );
    }
    Ok(())
}

/// The buckets of a table that is too small and does not grow, and log2 of those that it should
/// have.
pub(super) fn shortage(
    ipvs: &mut trimtab_ipvs::Client,
    options: &Options,
) -> Result<Option<(u32, u32)>, Error> {
    if KernelVersion::read(Path::new("/proc"))? >= GROWS {
        return Ok(None);
    }
    let buckets = ipvs.info()?.connection_table_size;
    let connections = options.conntrack.max_entries().unwrap_or(0);
    let bits = too_small(buckets, connections, options.connection_table_bits);
    Ok(bits.map(|bits| (buckets, bits)))
}

/// The size to load the module with, if `buckets` are too few.
fn too_small(buckets: u32, connections: u32, configured: Option<u8>) -> Option<u32> {
    match configured.map(u32::from) {
        Some(bits) => (u64::from(buckets) < 1 << bits).then_some(bits),
        None => (connections / LONG_CHAIN >= buckets).then(|| fitting_bits(connections)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_the_connections_that_the_node_may_track() {
        for (connections, bits) in
            [(0, 12), (16_384, 12), (131_072, 15), (262_144, 16), (1 << 20, 18), (u32::MAX, 20)]
        {
            assert_eq!(fitting_bits(connections), bits, "{connections}");
        }
    }

    #[test]
    fn a_table_is_too_small_for_long_chains_or_for_what_was_asked() {
        assert_eq!(too_small(4096, 100_000, None), None);
        assert_eq!(too_small(4096, 131_072, None), Some(15));
        assert_eq!(too_small(32_768, 1 << 20, None), Some(18));
        assert_eq!(too_small(65_536, 1 << 20, None), None);
        assert_eq!(too_small(4096, 0, Some(12)), None);
        assert_eq!(too_small(4096, 0, Some(20)), Some(20));
    }
}
