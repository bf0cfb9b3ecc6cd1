//! A process that may not.

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use trimtab_ipvs::{Batch, Client, Error, ModuleOptions};

use crate::namespace::{isolated, numbered, run, saved};

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn without_cap_net_admin_nothing_is_read_or_done_and_the_error_says_so() {
    isolated(|| {
        run("ipvsadm -A -t 10.96.0.1:80 -s rr");
        let without = std::thread::spawn(|| {
            let CapabilitySets { effective, permitted, inheritable } = capabilities(None).unwrap();
            let others = effective & !CapabilitySet::NET_ADMIN;
            let sets = CapabilitySets { effective: others, permitted, inheritable };
            set_capabilities(None, sets).unwrap();

            let mut client = Client::connect(&ModuleOptions::never()).unwrap();
            let mut batch = Batch::new();
            batch.flush();
            batch.add_virtual_server(&numbered(1));
            vec![
                client.info().unwrap_err(),
                client.timeouts().unwrap_err(),
                client.virtual_servers().unwrap_err(),
                client.sync_daemons().unwrap_err(),
                client.apply(&mut batch).unwrap_err(),
            ]
        });
        for error in without.join().unwrap() {
            assert!(matches!(error, Error::NotPermitted(_)), "{error:?}");
            assert!(error.is_not_permitted());
            assert!(error.to_string().contains("IPVS needs CAP_NET_ADMIN"), "{error}");
        }
        assert_eq!(saved(), ["-A -t 10.96.0.1:80 -s rr"]);
    });
}
