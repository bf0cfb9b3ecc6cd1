//! A kernel that has its IPVS in a module.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use trimtab_ipvs::{Client, Error, ModuleError, ModuleOptions};

use crate::namespace::{isolated, run};

/// A module that is not built in has its users counted here while it is loaded.
const REFERENCES: &str = "/sys/module/ip_vs/refcnt";

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_kernel_that_has_ipvs_is_not_asked_to_load_it() {
    isolated(|| {
        // Makes the kernel load it.
        run("ipvsadm -Ln");
        let nothing = ModuleOptions { modprobe: "/nowhere".into(), ..ModuleOptions::default() };
        for options in [ModuleOptions::never(), nothing.connection_table_bits(10)] {
            Client::connect(&options).unwrap().info().unwrap();
        }
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_module_that_is_not_loaded_is_loaded_or_named_and_a_built_in_one_is_never_missed() {
    run("ipvsadm -Ln");
    if !Path::new(REFERENCES).exists() {
        Client::connect(&ModuleOptions::never()).unwrap().info().unwrap();
        return;
    }
    unload();
    // The kernel would load it without parameters as soon as anybody asks for it.
    let mut client = Client::connect(&ModuleOptions::default().connection_table_bits(10)).unwrap();
    assert_eq!(client.info().unwrap().connection_table_size, 1024);
    unload();

    let _by_hand = LoadedByHand::new();
    let said = refused(&ModuleOptions::never()).to_string();
    assert!(said.ends_with("its module ip_vs is not loaded (run: modprobe ip_vs)"), "{said}");

    let nothing = ModuleOptions { modprobe: "/nowhere".into(), ..ModuleOptions::default() };
    let error = refused(&nothing);
    assert!(matches!(error, Error::NoIpvs(ModuleError::NoModprobe { .. })), "{error:?}");
    assert!(error.to_string().contains("no program /nowhere to load the module"), "{error}");

    let mut wrong = ModuleOptions::default();
    wrong.parameters.push("conn_tab_bits=many".into());
    let error = refused(&wrong);
    assert!(matches!(error, Error::NoIpvs(ModuleError::Failed { .. })), "{error:?}");
    assert!(error.to_string().contains("modprobe ip_vs conn_tab_bits=many failed"), "{error}");

    let error = thread::spawn(|| {
        give_up(CapabilitySet::SYS_MODULE);
        refused(&ModuleOptions::default())
    });
    let error = error.join().unwrap();
    assert!(error.is_not_permitted(), "{error:?}");
    assert!(error.to_string().contains("needs CAP_SYS_MODULE"), "{error}");

    let mut client = Client::connect(&ModuleOptions::default().connection_table_bits(9)).unwrap();
    assert_eq!(client.info().unwrap().connection_table_size, 512);
}

fn refused(options: &ModuleOptions) -> Error {
    Client::connect(options).unwrap_err()
}

/// Gives up a capability, of this thread and the programs that it runs.
fn give_up(capability: CapabilitySet) {
    rustix::thread::remove_capability_from_bounding_set(capability).unwrap();
    let CapabilitySets { effective, .. } = capabilities(None).unwrap();
    let others = effective & !capability;
    let sets = CapabilitySets { effective: others, permitted: others, inheritable: others };
    set_capabilities(None, sets).unwrap();
}

/// Unloads IPVS, whose users in other network namespaces may still be going away.
fn unload() {
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

/// The kernel loads no module by itself until this is dropped.
struct LoadedByHand {
    before: String,
}

impl LoadedByHand {
    const SYSCTL: &str = "/proc/sys/kernel/modprobe";

    fn new() -> Self {
        let before = fs::read_to_string(Self::SYSCTL).unwrap();
        fs::write(Self::SYSCTL, "/bin/false").unwrap();
        Self { before }
    }
}

impl Drop for LoadedByHand {
    fn drop(&mut self) {
        let _ = fs::write(Self::SYSCTL, self.before.trim());
    }
}
