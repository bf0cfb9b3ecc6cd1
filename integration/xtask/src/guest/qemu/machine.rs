//! QEMU's command line.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;
use std::process::Command;

use super::accelerator::Accelerator;
use super::channels::Channel;

/// Kernel parameters: whatever is wrong is a panic, a panic is the end (QEMU runs with
/// `-no-reboot`), and nothing is done that costs an emulated machine time for no gain. An emulated
/// processor may well be held up for ten seconds on a busy host, hence the patient watchdog, and hence
/// no panic about a timer whose first ticks are late ("IO-APIC + timer doesn't work").
const PARAMETERS: &str = "console=ttyS0 panic=-1 oops=panic softlockup_panic=1 watchdog_thresh=30 \
                          no_timer_check \
                          mitigations=off apparmor=0 selinux=0 audit=0 edd=off \
                          random.trust_cpu=on cryptomgr.notests rcupdate.rcu_expedited=1 net.ifnames=0";

/// A machine to be started.
pub(super) struct Machine<'a> {
    pub(super) accelerator: Accelerator,
    pub(super) kernel: &'a Path,
    pub(super) initramfs: &'a Path,
    pub(super) memory: &'a str,
    /// As the caller wants, or what is best for the accelerator.
    pub(super) processors: Option<u8>,
    pub(super) out: Option<&'a Path>,
}

impl Machine<'_> {
    /// The command that starts it, its channels being open file descriptors.
    pub(super) fn command(&self, channels: &[(Channel, BorrowedFd<'_>)]) -> Command {
        let (accelerator, processor) = match self.accelerator {
            Accelerator::Kvm => ("kvm", "host"),
            Accelerator::Tcg => ("tcg,thread=multi", "max"),
        };
        let processors = self.processors.unwrap_or(match self.accelerator {
            Accelerator::Kvm => 2,
            // Emulated processors wait for each other: on two busy cores a guest with two boots in
            // 4 s instead of 2 and lays a cluster of namespaces in 2 to 6 s instead of 1.
            Accelerator::Tcg => 1,
        });
        // The machine must not outlive a runner that is killed.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "qemu-system-x86_64"])
            .args(["-machine", "q35", "-nodefaults", "-no-user-config", "-no-reboot"])
            .args(["-display", "none", "-nic", "none"])
            .args(["-accel", accelerator, "-cpu", processor])
            .args(["-m", self.memory, "-smp", &processors.to_string()])
            .arg("-kernel")
            .arg(self.kernel)
            .arg("-initrd")
            .arg(self.initramfs)
            .args(["-append", PARAMETERS])
            .args(["-virtfs", &shared("host", Path::new("/"), ",readonly=on")])
            .args(["-device", "virtio-serial-pci,id=ports"]);
        if let Some(out) = self.out {
            command.args(["-virtfs", &shared("out", out, "")]);
        }
        for (channel, fd) in channels {
            let name = channel.name();
            command.args(["-chardev", &format!("socket,id={name},fd={}", fd.as_raw_fd())]);
            match channel.port() {
                None => command.args(["-serial", &format!("chardev:{name}")]),
                Some(port) => command.args([
                    "-device",
                    &format!("virtserialport,bus=ports.0,nr={port},chardev={name},name={name}"),
                ]),
            };
        }
        command
    }
}

/// A folder of the host as a 9p file system. Commas separate QEMU's options, two are one comma.
fn shared(tag: &str, path: &Path, more: &str) -> String {
    let path = path.display().to_string().replace(',', ",,");
    format!("local,path={path},mount_tag={tag},security_model=none,multidevs=remap{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_a_path_does_not_end_it() {
        assert!(
            shared("out", Path::new("/a,b"), "").starts_with("local,path=/a,,b,mount_tag=out,")
        );
    }
}
