//! The example `balance` does what its ipvsadm commands would do.

use std::process::{Command, Output};

use crate::namespace::{example, isolated, saved};

fn balance(argument: &str) -> Output {
    Command::new(example("balance")).arg(argument).output().unwrap()
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn up_balances_over_two_real_servers_and_down_removes_them() {
    isolated(|| {
        let up = balance("up");
        assert!(up.status.success(), "{up:?}");
        let said = String::from_utf8_lossy(&up.stdout);
        // The kernel lists real servers in an order of its own.
        let mut lines: Vec<&str> = said.lines().collect();
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                "TCP 192.0.2.1:80 -> 198.51.100.1:8080 (weight 1)",
                "TCP 192.0.2.1:80 -> 198.51.100.2:8080 (weight 1)",
            ]
        );
        assert_eq!(
            saved(),
            [
                "-A -t 192.0.2.1:80 -s rr",
                "-a -t 192.0.2.1:80 -r 198.51.100.1:8080 -m -w 1",
                "-a -t 192.0.2.1:80 -r 198.51.100.2:8080 -m -w 1",
            ]
        );
        let again = balance("up");
        assert!(!again.status.success());
        let said = String::from_utf8_lossy(&again.stderr);
        assert!(said.contains("cannot add virtual server TCP 192.0.2.1:80 rr"), "{said}");
        assert_eq!(said.matches("File exists").count(), 3, "all three were tried: {said}");

        assert!(balance("down").status.success());
        assert!(saved().is_empty());
        assert!(!balance("down").status.success(), "there is nothing to remove");
    });
}
