//! The order in which real servers are added.
//!
//! The kernel's round robin starts at the head of its list on every node, so if all nodes add in
//! the same order, a thousand of them send their first connection to the same pod. Each node has an
//! order of its own, and always the same one.

use trimtab_core::RealServerKey;

/// FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/): stable over processes and versions, which a
/// hash map's hasher is not.
fn fnv(seed: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// A node's seed for [`rank`].
pub(crate) fn seed(node_name: &str) -> u64 {
    fnv(0xcbf2_9ce4_8422_2325, node_name.as_bytes())
}

/// The place of a real server in its node's order.
pub(crate) fn rank(seed: u64, key: &RealServerKey) -> u64 {
    let hash = match key.address {
        std::net::IpAddr::V4(v4) => fnv(seed, &v4.octets()),
        std::net::IpAddr::V6(v6) => fnv(seed, &v6.octets()),
    };
    // FNV's last step mixes the low bits only; the finaliser of MurmurHash3 spreads them.
    let mut hash = fnv(hash, &key.port.to_be_bytes());
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_start_at_different_real_servers() {
        let keys: Vec<_> = (0..10)
            .map(|n| RealServerKey::new(std::net::IpAddr::from([10, 0, 0, n]), 80))
            .collect();
        let mut firsts = [0u32; 10];
        for node in 0..1000 {
            let seed = seed(&format!("node-{node}"));
            let first = (0..10).min_by_key(|n| rank(seed, &keys[*n])).unwrap();
            firsts[first] += 1;
        }
        assert!(firsts.iter().all(|times| (50..200).contains(times)), "{firsts:?}");
        assert_eq!(rank(seed("a"), &keys[0]), rank(seed("a"), &keys[0]));
    }
}
