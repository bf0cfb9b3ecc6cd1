//! nftables tables: kube-proxy's nftables mode leaves one in each family.

use netlink_packet_core::NlasIterator;
use trimtab_core::Family;
use trimtab_netlink::{Batch, Error as NetlinkError, Socket, flags};

use crate::Error;

/// `NFNL_SUBSYS_NFTABLES` with `NFT_MSG_GETTABLE` and `NFT_MSG_DELTABLE`
/// (include/uapi/linux/netfilter/nfnetlink.h, nf_tables.h, as all below).
const SUBSYSTEM: u16 = 10;
const GET: u16 = SUBSYSTEM << 8 | 1;
const DELETE: u16 = SUBSYSTEM << 8 | 2;
/// `NFNL_MSG_BATCH_BEGIN`, `NFNL_MSG_BATCH_END`
const BEGIN: u16 = 16;
const END: u16 = 17;
/// `NFTA_TABLE_NAME`
const NAME: u16 = 1;
/// `NFT_MSG_GETGEN` with its subsystem, and `NFTA_GEN_ID`
const GET_GENERATION: u16 = SUBSYSTEM << 8 | 16;
const GENERATION: u16 = 1;
/// The name of kube-proxy's table in either family.
pub const KUBE_PROXY: &str = "kube-proxy";

/// The families in which there is a table `kube-proxy`.
///
/// # Errors
/// [`Error::List`] when the tables cannot be read. On a kernel without nftables there are none.
pub fn kube_proxy_tables(socket: &mut Socket) -> Result<Vec<Family>, Error> {
    let mut batch = Batch::new();
    // `NFPROTO_UNSPEC`: of every family.
    batch.message(GET, flags::REQUEST | flags::DUMP).put(&[0, 0, 0, 0]);
    let listed = socket.dump(&mut batch, |found: &mut Vec<Family>, _, payload| {
        found.extend(kube_proxy_table(payload));
        Ok(())
    });
    match listed {
        Ok(found) => Ok(found),
        // The kernel lacks this subsystem (nfnetlink_rcv_msg).
        Err(NetlinkError::Refused(refusal)) if refusal.errno.0 == libc::EINVAL => Ok(Vec::new()),
        Err(source) => Err(Error::List { what: "nftables tables", source }),
    }
}

/// The generation of this network namespace's nftables, which each transaction of any program raises;
/// `None` on a kernel without nftables. As long as it is the same, no rule has changed.
///
/// # Errors
/// [`Error::List`] when it cannot be read.
pub fn generation(socket: &mut Socket) -> Result<Option<u32>, Error> {
    let mut batch = Batch::new();
    batch.message(GET_GENERATION, flags::REQUEST).put(&[0, 0, 0, 0]);
    let mut found = None;
    let asked = socket.request(&mut batch, |_, payload| {
        found = found.or_else(|| generation_of(payload));
        Ok(())
    });
    match asked {
        Ok(()) => Ok(found),
        // The kernel lacks this subsystem, as above.
        Err(NetlinkError::Refused(refusal)) if refusal.errno.0 == libc::EINVAL => Ok(None),
        Err(source) => Err(Error::List { what: "nftables' generation", source }),
    }
}

/// Reads `NFT_MSG_NEWGEN`, whose numbers are in network order.
fn generation_of(payload: &[u8]) -> Option<u32> {
    let mut attributes = NlasIterator::new(payload.get(4..)?).filter_map(Result::ok);
    let number = attributes.find(|attribute| attribute.kind() == GENERATION)?;
    Some(u32::from_be_bytes(number.value().try_into().ok()?))
}

/// Deletes the table `kube-proxy` of a family with all that is in it. Returns whether there was one.
///
/// # Errors
/// [`Error::Send`] when the kernel refuses.
pub fn delete_kube_proxy_table(socket: &mut Socket, family: Family) -> Result<bool, Error> {
    let mut batch = Batch::new();
    // `struct nfgenmsg`: in the messages that begin and end a transaction, the resource is the
    // subsystem.
    let bracket = [0, 0, SUBSYSTEM.to_be_bytes()[0], SUBSYSTEM.to_be_bytes()[1]];
    batch.message(BEGIN, flags::REQUEST).put(&bracket);
    let mut message = batch.message(DELETE, flags::REQUEST);
    message.put(&[number(family), 0, 0, 0]);
    message.attribute_text(NAME, KUBE_PROXY);
    drop(message);
    batch.message(END, flags::REQUEST).put(&bracket);
    match socket.transact(&mut batch) {
        Ok(()) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(source) => Err(Error::Send { what: "deletions of nftables tables", source }),
    }
}

/// The family of a table `kube-proxy`; `None` for any other table.
fn kube_proxy_table(payload: &[u8]) -> Option<Family> {
    let family =
        Family::ALL.into_iter().find(|family| payload.first() == Some(&number(*family)))?;
    let mut attributes = NlasIterator::new(payload.get(4..)?).filter_map(Result::ok);
    let name = attributes.find(|attribute| attribute.kind() == NAME)?;
    let is_it = name.value().strip_suffix(&[0]) == Some(KUBE_PROXY.as_bytes());
    is_it.then_some(family)
}

/// `NFPROTO_IPV4`, `NFPROTO_IPV6` (include/uapi/linux/netfilter.h).
const fn number(family: Family) -> u8 {
    match family {
        Family::V4 => 2,
        Family::V6 => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(family: u8, name: &str) -> Vec<u8> {
        let mut batch = Batch::new();
        let mut message = batch.message(0, 0);
        message.put(&[family, 0, 0, 0]);
        message.attribute_u32(2, 0);
        message.attribute_text(NAME, name);
        drop(message);
        batch.payload(0).unwrap().to_vec()
    }

    #[test]
    fn a_generation_is_in_network_order() {
        let mut batch = Batch::new();
        let mut message = batch.message(0, 0);
        message.put(&[0, 0, 0, 7]);
        message.attribute(GENERATION, &7_u32.to_be_bytes());
        drop(message);
        assert_eq!(generation_of(batch.payload(0).unwrap()), Some(7));
        assert_eq!(generation_of(&[0; 4]), None);
    }

    #[test]
    fn only_kube_proxys_own_table_is_meant() {
        assert_eq!(kube_proxy_table(&table(2, "kube-proxy")), Some(Family::V4));
        assert_eq!(kube_proxy_table(&table(10, "kube-proxy")), Some(Family::V6));
        for (family, name) in
            [(2, "nat"), (2, "kube-proxy-2"), (1, "kube-proxy"), (7, "kube-proxy")]
        {
            assert_eq!(kube_proxy_table(&table(family, name)), None, "{family} {name}");
        }
        assert_eq!(kube_proxy_table(&[]), None);
    }
}
