//! What is written is what is read.

use proptest::prelude::*;
use trimtab_core::{Family, Frontend, Persistence, Protocol, Scheduler, VirtualServer};
use trimtab_ipvs::{Batch, Operation, wire};

use crate::operations::{operation, virtual_server};

proptest! {
    #[test]
    fn any_operation_survives_its_message(
        operations in prop::collection::vec(operation(), 1..20),
    ) {
        let mut batch = Batch::new();
        for (index, operation) in operations.iter().enumerate() {
            prop_assert_eq!(batch.push(operation), index);
        }
        prop_assert_eq!(batch.len(), operations.len());
        for (index, operation) in operations.iter().enumerate() {
            prop_assert_eq!(batch.operation(index), Some(operation.clone()));
        }
        prop_assert_eq!(batch.operation(operations.len()), None);
    }

    #[test]
    fn a_name_that_is_too_long_is_not_cut_to_a_shorter_one(
        server in virtual_server(),
        name in "[a-z]{16,40}",
    ) {
        let server = VirtualServer { persistence_engine: Some(name.into()), ..server };
        let mut batch = Batch::new();
        batch.add_virtual_server(&server);
        let Some(Operation::AddVirtualServer(read)) = batch.operation(0) else { unreachable!() };
        // The kernel takes 15 bytes and a NUL, and refuses what is longer.
        prop_assert!(read.persistence_engine.unwrap().len() > 15);
    }
}

#[test]
fn what_cannot_be_said_to_the_kernel_is_no_operation() {
    let mark = Frontend::Mark { mark: 0, family: Family::V4 };
    let vip = Frontend::new(Protocol::Tcp, "10.96.0.1".parse().unwrap(), 80);
    let beyond = VirtualServer {
        persistence: Some(Persistence { timeout: 60, prefix: 33 }),
        ..VirtualServer::new(vip, Scheduler::RoundRobin)
    };
    let mut batch = Batch::new();
    batch.add_virtual_server(&VirtualServer::new(mark, Scheduler::RoundRobin));
    batch.add_virtual_server(&beyond);
    batch.delete_virtual_server(&mark);
    for index in 0..3 {
        assert_eq!(batch.operation(index), None);
    }
}

#[test]
fn a_request_to_read_is_no_operation() {
    // IPVS_CMD_GET_SERVICE and its kin.
    for command in [4, 8, 11, 13, 15, 200] {
        assert!(wire::decode_request(&[command, 1, 0, 0]).is_err());
    }
}
