//! The order in which real servers are added.
//!
//! The kernel's round robin starts at the head of its list on every node, so if all nodes add in
//! the same order, a thousand of them send their first connection to the same pod. Each node has an
//! order of its own, and always the same one.

use trimtab_core::RealServerKey;

use trimtab_core::StableHash;

/// A node's seed for [`rank`].
pub(crate) fn seed(node_name: &str) -> u64 {
    StableHash::new().take(node_name.as_bytes()).finish()
}

/// The place of a real server in its node's order.
pub(crate) fn rank(seed: u64, key: &RealServerKey) -> u64 {
    let hash = StableHash::from_seed(seed);
    let hash = match key.address {
        std::net::IpAddr::V4(v4) => hash.take(&v4.octets()),
        std::net::IpAddr::V6(v6) => hash.take(&v6.octets()),
    };
    hash.take(&key.port.to_be_bytes()).finish()
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
