//! Blocks that are marked as run do run, at the root of the repository, and print what the page says.

use std::path::Path;
use std::process::Command;

use crate::blocks::{self, Block};
use crate::pages;

/// Runs a block with the program under test; returns its output, or the error.
fn run(block: &Block) -> Result<String, String> {
    let program = Path::new(env!("CARGO_BIN_EXE_trimtab")).parent().expect("it is in a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("sh")
        .args(["-euc", &block.text])
        .current_dir(pages::root())
        .env("PATH", format!("{}:{path}", program.display()))
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}

#[test]
fn what_is_marked_as_run_prints_what_the_page_says() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for page in pages::all().iter().filter(|page| page.is_guide()) {
        let blocks = blocks::of(page);
        for (index, block) in blocks.iter().enumerate() {
            if (block.language.as_str(), block.mark.as_str()) != ("sh", "run") {
                continue;
            }
            count += 1;
            let shown = blocks.get(index + 1).filter(|next| next.mark == "output");
            match (run(block), shown) {
                (Err(why), _) => wrong.push(format!("{}: {why}", block.place)),
                (Ok(printed), Some(shown)) if printed != shown.text => wrong.push(format!(
                    "{}: the page says\n{}but it printed\n{printed}",
                    block.place, shown.text
                )),
                _ => {}
            }
        }
    }
    assert!(count > 0, "no block is marked as run");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
