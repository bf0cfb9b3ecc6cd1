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
    let (status, said) = validate("mode: ipvs\nclusterCIDR: 10.0.0.0/8\nenableProfiling: true\n");
    assert_eq!(status, Some(0), "{said}");
    assert!(said.starts_with("note: standard input: enableProfiling has no effect: "), "{said}");
}

#[test]
fn every_complaint_is_said_and_the_status_is_2() {
    let (status, said) =
        validate("mode: ipvs\nipvs: {strictARP: maybe, x: 1}\noomScoreAdj: 2000\n");
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("note: standard input: unknown field ipvs.x, ignored\n"), "{said}");
    assert!(said.contains("\n  standard input: ipvs.strictARP: expected true or false"), "{said}");
    assert!(said.contains("\n  standard input: oomScoreAdj: 2000 is not between"), "{said}");
}
