//! The program accepts the command lines and configurations in README.md and the book.

use std::iter;
use std::path::Path;

use clap::Parser as _;
use clap::error::ErrorKind;
use trimtab::cli::Cli;

use crate::{blocks, pages};

/// What ends a command in a shell.
const ENDS: [&str; 8] = ["|", ">", ">>", "<", "2>", "&&", ";", "&"];
/// What can precede a command in its line.
const BEFORE: [&str; 6] = ["|", "&&", ";", "&", "sudo", "--"];

/// The arguments of each call of `trimtab` in a text for a shell, the program's name first.
/// `systemctl restart trimtab` calls something else.
fn calls(text: &str) -> Vec<Vec<String>> {
    let mut calls = Vec::new();
    for line in text.replace("\\\n", " ").lines() {
        let words = shlex::split(line).unwrap_or_default();
        for (index, word) in words.iter().enumerate() {
            let before = index.checked_sub(1).map(|index| words[index].as_str());
            let mut rest = &words[index + 1..];
            let by_cargo = before == Some("-p") && rest.first().is_some_and(|next| next == "--");
            if word != "trimtab" && !word.ends_with("/trimtab")
                || !by_cargo && before.is_some_and(|before| !BEFORE.contains(&before))
            {
                continue;
            }
            if by_cargo {
                rest = &rest[1..];
            }
            let arguments = rest.iter().take_while(|word| !ENDS.contains(&word.as_str()));
            calls.push(iter::once("trimtab".to_owned()).chain(arguments.cloned()).collect());
        }
    }
    calls
}

fn refused(call: &[String]) -> Option<String> {
    let error = Cli::try_parse_from(call).err()?;
    let told = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    (!told).then(|| format!("{}: {error}", call.join(" ")))
}

#[test]
fn every_command_line_is_one_that_the_program_takes() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for page in pages::all().iter().filter(|page| page.is_guide()) {
        for block in blocks::of(page).iter().filter(|block| block.language == "sh") {
            for call in calls(&block.text) {
                count += 1;
                wrong.extend(refused(&call).map(|why| format!("{}: {why}", block.place)));
            }
        }
    }
    assert!(count > 5, "{count} calls were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_configuration_is_one_that_the_program_takes() {
    let mut count = 0;
    for page in pages::all().iter().filter(|page| page.is_guide()) {
        let configurations = blocks::of(page).into_iter().filter(|block| {
            block.language == "yaml" && block.text.contains("kind: KubeProxyConfiguration")
        });
        for block in configurations {
            count += 1;
            let read = trimtab_config::parse(Path::new("config.yaml"), &block.text);
            let (_, notes) = read.unwrap_or_else(|error| panic!("{}: {error}", block.place));
            assert!(notes.is_empty(), "{}: {notes:?}", block.place);
        }
    }
    assert!(count > 0);
}

#[test]
fn calls_are_found_wherever_they_stand() {
    let found = calls(
        "systemctl restart trimtab\n\
         cargo run -p trimtab -- plan -f a.yaml \\\n  -o ipset > b\n\
         helm install trimtab deploy/chart --set a=b\n\
         kubectl get svc -o yaml | sudo trimtab plan -f - && /usr/bin/trimtab run --cleanup\n",
    );
    let found: Vec<String> = found.iter().map(|call| call.join(" ")).collect();
    let expected =
        ["trimtab plan -f a.yaml -o ipset", "trimtab plan -f -", "trimtab run --cleanup"];
    assert_eq!(found, expected);
}

#[test]
fn a_flag_that_does_not_exist_is_found() {
    let call = |text: &str| calls(text).into_iter().find_map(|call| refused(&call));
    assert!(call("trimtab run --nosuch").is_some_and(|why| why.contains("--nosuch")));
    assert_eq!(call("trimtab run --help"), None);
}
