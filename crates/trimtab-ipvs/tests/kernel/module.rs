//! A kernel that has its IPVS in a module.

use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use trimtab_ipvs::{Client, Error, ModuleError, ModuleOptions};

use crate::namespace::{client, isolated, numbered, run};

/// Where a module that is loaded is known, unless it is built in.
const REFERENCES: &str = "/sys/module/ip_vs/refcnt";

fn refused(options: &ModuleOptions) -> Error {
    Client::connect(options).unwrap_err()
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_kernel_that_has_ipvs_is_not_asked_to_load_it() {
    isolated(|| {
        // Makes the kernel load it.
        run("ipvsadm -Ln");
        let nothing = ModuleOptions { modprobe: "/nowhere".into(), ..ModuleOptions::default() };
        for options in [ModuleOptions::never(), nothing] {
            Client::connect(&options).unwrap().info().unwrap();
        }
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_module_that_is_not_loaded_is_loaded_or_named_and_a_built_in_one_is_never_missed() {
    run("ipvsadm -Ln");
    if !Path::new(REFERENCES).exists() {
        client().info().unwrap();
        return;
    }
    let mut before = client();
    before.info().unwrap();
    unload();

    let error = refused(&ModuleOptions::never());
    let said = "the kernel has no IPVS now: its module ip_vs is not loaded (run: modprobe ip_vs)";
    assert_eq!(error.to_string(), said);
    let nothing = ModuleOptions { modprobe: "/nowhere".into(), ..ModuleOptions::default() };
    let error = refused(&nothing);
    assert!(matches!(error, Error::NoIpvs(ModuleError::NoModprobe { .. })), "{error:?}");
    assert!(error.to_string().contains("no program /nowhere to load the module"), "{error}");

    let mut options = ModuleOptions::default();
    options.parameters.push("no_such_parameter=1".into());
    // The kernel ignores a parameter that the module does not have, and says so in its log.
    Client::connect(&options).unwrap().info().unwrap();
    unload();
    options.parameters = vec!["conn_tab_bits=many".into()];
    let error = refused(&options);
    assert!(matches!(error, Error::NoIpvs(ModuleError::Failed { .. })), "{error:?}");
    assert!(error.to_string().contains("modprobe ip_vs conn_tab_bits=many failed"), "{error}");

    // One who may not load modules: only in a thread, which ends with what it gave up.
    let error = thread::spawn(|| {
        let CapabilitySets { effective, .. } = capabilities(None).unwrap();
        let others = effective & !CapabilitySet::SYS_MODULE;
        let sets = CapabilitySets { effective: others, permitted: others, inheritable: others };
        set_capabilities(None, sets).unwrap();
        rustix::thread::remove_capability_from_bounding_set(
            rustix::thread::CapabilitySet::SYS_MODULE,
        )
        .unwrap();
        refused(&ModuleOptions::default())
    });
    let error = error.join().unwrap();
    assert!(error.is_not_permitted(), "{error:?}");
    assert!(error.to_string().contains("needs CAP_SYS_MODULE"), "{error}");

    let mut loaded = Client::connect(&ModuleOptions::default().connection_table_bits(10)).unwrap();
    assert_eq!(loaded.info().unwrap().connection_table_size, 1024);
    // The number that a client learnt before may be another's now; it says so or works.
    let mut batch = trimtab_ipvs::Batch::new();
    batch.add_virtual_server(&numbered(1));
    assert!(loaded.apply(&mut batch).unwrap().is_success());
    run("ipvsadm -C");
}

/// Unloads IPVS, whose users in other network namespaces may still be going away.
fn unload() {
    run("ipvsadm -C");
    let modules = "$(lsmod | sed -n 's/^\\(ip_vs_[a-z_]*\\).*/\\1/p') ip_vs";
    for _ in 0..100 {
        run(&format!("modprobe -r {modules} 2>/dev/null || true"));
        if !Path::new(REFERENCES).exists() {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("IPVS is in use: {}", run("lsmod | grep ip_vs"));
}
