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
    let _unloaded = Unloaded::new();
    // The kernel would load it without parameters as soon as anybody asks for it.
    let mut client = Client::connect(&ModuleOptions::default().connection_table_bits(10)).unwrap();
    assert_eq!(client.info().unwrap().connection_table_size, 1024);
    drop(client);
    unload().unwrap();

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

/// Unloads IPVS and the modules that use it. What other tests made them for may still be going away
/// with its network namespace.
fn unload() -> Result<(), String> {
    for _ in 0..600 {
        for module in with_users("ip_vs") {
            // A module that is in use is left for the next attempt.
            run(&format!("modprobe -r {module} 2>/dev/null || true"));
        }
        if !Path::new(REFERENCES).exists() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(100));
    }
    Err(format!("IPVS is in use: {}", run("lsmod | grep -e ip_vs -e ^Module")))
}

/// A module after those that use it, whatever they are: schedulers, and xt_ipvs once any program has
/// asked for a rule with `-m ipvs`.
fn with_users(module: &str) -> Vec<String> {
    let users = fs::read_dir(format!("/sys/module/{module}/holders")).into_iter().flatten();
    let users = users.filter_map(|user| user.ok()?.file_name().into_string().ok());
    users.flat_map(|user| with_users(&user)).chain([module.to_owned()]).collect()
}

/// Unloads IPVS, and unloads it again at the end, so that no other test gets it with the parameters
/// of this test.
struct Unloaded;

impl Unloaded {
    fn new() -> Self {
        unload().unwrap();
        Self
    }
}

impl Drop for Unloaded {
    fn drop(&mut self) {
        let outcome = unload();
        if !thread::panicking() {
            outcome.unwrap();
        }
    }
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
