//! Sysctls of a real /proc/sys.

use std::path::Path;

use trimtab_host::kernel_version::KernelVersion;
use trimtab_host::sysctl::{self, Options, apply};

use crate::namespace::{isolated, run};

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_new_network_namespace_gets_all_values_and_the_second_time_nothing_is_written() {
    isolated(|| {
        // Makes the kernel load IPVS.
        run("ipvsadm -Ln");
        let kernel = KernelVersion::read(Path::new("/proc")).unwrap();
        assert!(run("uname -r").starts_with(&kernel.to_string()));
        let options = Options { strict_arp: true, ..Options::default() };
        let wanted = sysctl::wanted(kernel, &options);
        let first = apply(Path::new("/proc/sys"), &wanted);
        assert!(first.failed.is_empty(), "{first:?}");
        assert!(!first.changed.is_empty());
        for sysctl in &wanted {
            let value = run(&format!("cat /proc/sys/{}", sysctl.name));
            assert_eq!(value.trim(), sysctl.value.to_string(), "{sysctl}");
        }
        let second = apply(Path::new("/proc/sys"), &wanted);
        assert!(second.failed.is_empty() && second.changed.is_empty(), "{second:?}");
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_read_only_proc_sys_is_fine_while_the_values_are_right() {
    isolated(|| {
        run("ipvsadm -Ln");
        let kernel = KernelVersion::read(Path::new("/proc")).unwrap();
        let wanted = sysctl::wanted(kernel, &Options::default());
        let root = std::env::temp_dir().join(format!("trimtab-proc-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let mount = root.display();
        run(&format!("mount -t proc -o ro proc {mount}"));
        let sys = root.join("sys");
        let before = apply(&sys, &wanted);
        assert_eq!(before.failed.len(), wanted.len());
        let text = before.failed[0].error.to_string();
        assert!(text.contains("net/ipv4/vs/conntrack is 0, must be 1"), "{text}");
        assert!(text.contains("Read-only file system"), "{text}");
        assert!(apply(Path::new("/proc/sys"), &wanted).failed.is_empty());
        let after = apply(&sys, &wanted);
        run(&format!("umount {mount} && rmdir {mount}"));
        assert!(after.failed.is_empty() && after.changed.is_empty(), "{after:?}");
    });
}
