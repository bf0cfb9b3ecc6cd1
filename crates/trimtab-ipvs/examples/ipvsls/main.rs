//! Prints what `ipvsadm -Ln` (1.31) prints, byte for byte.

mod order;
mod print;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use trimtab_ipvs::{Client, ModuleOptions};

fn main() -> ExitCode {
    match list() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ipvsls: {error}");
            ExitCode::FAILURE
        }
    }
}

fn list() -> Result<(), Box<dyn std::error::Error>> {
    let mut client = Client::connect(&ModuleOptions::default())?;
    let mut out = BufWriter::new(io::stdout().lock());
    print::title(&mut out, &client.info()?)?;
    let mut virtual_servers = client.virtual_servers()?;
    order::virtual_servers(&mut virtual_servers.entries);
    let mut unsupported = virtual_servers.unsupported;
    for observed in &virtual_servers.entries {
        print::virtual_server(&mut out, observed)?;
        let mut real_servers = client.real_servers(&observed.server.frontend)?;
        order::real_servers(&mut real_servers.entries);
        for observed in &real_servers.entries {
            print::real_server(&mut out, observed)?;
        }
        unsupported.append(&mut real_servers.unsupported);
    }
    out.flush()?;
    for unsupported in unsupported {
        eprintln!("ipvsls: not listed: {unsupported}");
    }
    Ok(())
}
