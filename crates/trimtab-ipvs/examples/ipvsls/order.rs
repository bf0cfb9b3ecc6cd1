//! ipvsadm's order.
//!
//! ipvsadm compares by subtracting 32-bit numbers into an `int`, so that 10.0.0.1 comes after
//! 192.168.0.1, and with addresses from all over the range the comparison runs in circles: what
//! comes out then depends on what came in and on the C library's `qsort`. Hence its comparison, and
//! glibc's merge sort, step by step.

use std::net::IpAddr;

use trimtab_core::{Family, Frontend, RealServerKey};
use trimtab_ipvs::{ObservedRealServer, ObservedVirtualServer};

/// Sorts as `ipvs_cmp_services` does: mark, family, protocol, address, port.
pub(crate) fn virtual_servers(entries: &mut Vec<ObservedVirtualServer>) {
    sort(entries, |a, b| compare_frontends(&a.server.frontend, &b.server.frontend));
}

/// Sorts as `ipvs_cmp_dests` does: address, port.
pub(crate) fn real_servers(entries: &mut Vec<ObservedRealServer>) {
    sort(entries, |a, b| compare_keys(&a.server.key, &b.server.key));
}

fn compare_frontends(a: &Frontend, b: &Frontend) -> i32 {
    let (one, other) = (Numbers::of(a), Numbers::of(b));
    [
        difference(one.mark, other.mark),
        difference(one.family, other.family),
        difference(one.protocol, other.protocol),
        compare_addresses(a.family(), one.address, other.address),
        difference(one.port, other.port),
    ]
    .into_iter()
    .find(|difference| *difference != 0)
    .unwrap_or(0)
}

fn compare_keys(a: &RealServerKey, b: &RealServerKey) -> i32 {
    match compare_addresses(Family::of(a.address), words(a.address), words(b.address)) {
        0 => difference(a.port.into(), b.port.into()),
        difference => difference,
    }
}

/// The first address says how many words there are to compare.
fn compare_addresses(family: Family, a: [u32; 4], b: [u32; 4]) -> i32 {
    let count = match family {
        Family::V4 => 1,
        Family::V6 => 4,
    };
    a.into_iter()
        .zip(b)
        .take(count)
        .map(|(a, b)| difference(a, b))
        .find(|difference| *difference != 0)
        .unwrap_or(0)
}

/// The fields of `ipvs_service_entry_t` that are compared; those that do not apply are 0.
struct Numbers {
    mark: u32,
    family: u32,
    protocol: u32,
    address: [u32; 4],
    port: u32,
}

impl Numbers {
    fn of(frontend: &Frontend) -> Self {
        // AF_INET comes before AF_INET6.
        let family = u32::from(frontend.family() == Family::V6);
        match *frontend {
            Frontend::Address { protocol, address, port } => Self {
                mark: 0,
                family,
                protocol: protocol.number().into(),
                address: words(address),
                port: port.into(),
            },
            Frontend::Mark { mark, .. } => {
                Self { mark, family, protocol: 0, address: [0; 4], port: 0 }
            }
        }
    }
}

/// `union nf_inet_addr` as four words in host order.
fn words(address: IpAddr) -> [u32; 4] {
    match address {
        IpAddr::V4(v4) => [v4.to_bits(), 0, 0, 0],
        IpAddr::V6(v6) => {
            let segments = v6.segments().map(u32::from);
            [0, 2, 4, 6].map(|high| segments[high] << 16 | segments[high + 1])
        }
    }
}

/// `int r = a - b`, wrap-around included.
fn difference(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b).cast_signed()
}

/// The merge sort behind glibc's `qsort`: halves with the smaller first, the left one preferred
/// when equal.
fn sort<T>(entries: &mut Vec<T>, compare: impl Fn(&T, &T) -> i32) {
    let order = merge_sort((0..entries.len()).collect(), &|a, b| compare(&entries[a], &entries[b]));
    let mut taken: Vec<Option<T>> = entries.drain(..).map(Some).collect();
    entries.extend(order.into_iter().filter_map(|index| taken[index].take()));
}

fn merge_sort(mut left: Vec<usize>, compare: &impl Fn(usize, usize) -> i32) -> Vec<usize> {
    if left.len() < 2 {
        return left;
    }
    let right = left.split_off(left.len() / 2);
    let mut left = merge_sort(left, compare).into_iter().peekable();
    let mut right = merge_sort(right, compare).into_iter().peekable();
    let mut merged = Vec::with_capacity(left.len() + right.len());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let next = if compare(*a, *b) <= 0 { left.next() } else { right.next() };
        merged.extend(next);
    }
    merged.extend(left);
    merged.extend(right);
    merged
}
