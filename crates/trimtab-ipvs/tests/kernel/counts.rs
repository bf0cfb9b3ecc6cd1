//! How little a batch costs.

use std::net::IpAddr;

use trimtab_core::{RealServer, RealServerKey};
use trimtab_ipvs::Batch;

use crate::namespace::{client, isolated, numbered, run};

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn twenty_two_thousand_operations_are_sent_in_fifty_four_system_calls() {
    isolated(|| {
        let mut client = client();
        let mut batch = Batch::new();
        for number in 0..2000 {
            let server = numbered(number);
            batch.add_virtual_server(&server);
            let [.., high, low] = number.to_be_bytes();
            for host in 1..=10 {
                let pod = IpAddr::from([10, 128 + high, low, host]);
                let real_server = RealServer::masqueraded(RealServerKey::new(pod, 8080));
                batch.add_real_server(&server.frontend, &real_server);
            }
        }
        let report = client.apply(&mut batch).unwrap();
        assert!(report.is_success());
        assert_eq!((report.messages, report.bytes), (22_000, batch.as_bytes().len()));
        // 160 bytes an operation or less, 64 KiB a call.
        assert_eq!(report.sends, 54);
        assert_eq!(run("ipvsadm -Sn | grep -c ^-A").trim(), "2000");
        assert_eq!(run("ipvsadm -Sn | grep -c ^-a").trim(), "20000");

        batch.clear();
        (0..2000).for_each(|number| {
            batch.delete_virtual_server(&numbered(number).frontend);
        });
        let report = client.apply(&mut batch).unwrap();
        assert!(report.is_success());
        assert_eq!((report.messages, report.sends), (2000, 3));
        assert_eq!(run("ipvsadm -Sn"), "");
    });
}
