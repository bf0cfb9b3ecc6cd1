//! `trimtab completions` and `trimtab man`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::process::Command;

const COMMANDS: [&str; 5] = ["run", "check", "diff", "cleanup", "plan"];

fn trimtab(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_trimtab")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_shell_gets_a_script_with_all_commands() {
    for (shell, first) in
        [("bash", "_trimtab() {"), ("zsh", "#compdef trimtab"), ("fish", "# Print an optspec")]
    {
        let script = trimtab(&["completions", shell]);
        assert!(script.starts_with(first), "{shell}: {}", script.lines().next().unwrap());
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
        assert!(script.contains("hostname-override"), "{shell}");
    }
}

#[test]
fn bash_completes_commands_and_flags() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("trimtab");
    std::fs::write(&script, trimtab(&["completions", "bash"])).unwrap();
    for (words, expected) in [("trimtab cl", "cleanup"), ("trimtab cleanup --dr", "--dry-run")] {
        // As bash calls the function: the word, and the word before it.
        let last = words.rsplit(' ').next().unwrap();
        let position = words.split(' ').count() - 1;
        let line = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD={position}; _trimtab trimtab '{last}' \
             trimtab; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script.display()
        );
        let output = Command::new("bash").args(["--norc", "-c", &line]).output().unwrap();
        let completed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(completed.trim(), expected, "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn every_command_has_a_man_page_with_its_examples() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    trimtab(&["man", pages.to_str().unwrap()]);
    for command in COMMANDS {
        let page = std::fs::read_to_string(pages.join(format!("trimtab-{command}.1"))).unwrap();
        assert!(page.contains(&format!(".TH trimtab-{command} 1")), "{page}");
        assert!(page.contains("Examples:"), "{command}");
    }
    assert!(pages.join("trimtab.1").exists() && pages.join("trimtab-config-validate.1").exists());
}
