//! `trimtab config validate`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::io::Write as _;
use std::process::{Command, Stdio};

/// The exit status for this file on standard input, and the output.
fn validate(text: &str) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_trimtab"))
        .args(["config", "validate", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_good_file_is_silent() {
    let text = include_str!("../../trimtab-config/tests/config/files/kubespray.yaml");
    assert_eq!(validate(text), (Some(0), String::new()));
}

#[test]
fn what_has_no_effect_is_a_note() {
    let (status, said) =
        validate("mode: ipvs\nclusterCIDR: 10.0.0.0/8\nwindowsRunAsService: true\n");
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.starts_with("warning: standard input:3: windowsRunAsService has no effect: "),
        "{said}"
    );
}

#[test]
fn every_complaint_is_said_and_the_status_is_2() {
    let (status, said) = validate(
        "mode: ipvs\nipvs:\n  strictARP: maybe\n  x: 1\n  excludeCIDRs:\n  - 10.0.0.0/8\n  - \
         ten\noomScoreAdj: 2000\ndetectLocalMode: BridgeInterface\n",
    );
    assert_eq!(status, Some(2), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    for line in [
        "warning: standard input:4: ipvs.x: unknown field, ignored",
        "error: standard input:3: ipvs.strictARP: expected true or false, found \"maybe\"",
        "error: standard input:7: ipvs.excludeCIDRs[1]: \"ten\" is not a CIDR",
        "error: standard input:8: oomScoreAdj: 2000 is not between -1000 and 1000",
        "error: standard input: detectLocal.bridgeInterface: needed by this detectLocalMode",
    ] {
        assert!(lines.iter().any(|one| one.starts_with(line)), "{line}\n{said}");
    }
    assert_eq!(lines.len(), 5, "{said}");
}

#[test]
fn what_is_not_yaml_is_an_error_with_its_line() {
    let (status, said) = validate("mode: ipvs\nipvs: [\n");
    assert_eq!(status, Some(2), "{said}");
    assert!(said.starts_with("error: standard input: ") && said.contains("line"), "{said}");
}
