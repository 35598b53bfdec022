//! The `columnseal` binary: hygiene, arguments, a command, an exit code.

mod cli;

use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, setrlimit};

fn main() -> ExitCode {
    let hygiene = keep_memory_private();
    std::panic::set_hook(Box::new(cli::panicked));
    match cli::arguments() {
        Ok(arguments) => cli::run(&arguments, hygiene),
        Err(code) => code,
    }
}

/// No core dumps, and no reading of this process' memory or environment by others of the same user.
fn keep_memory_private() -> std::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}
