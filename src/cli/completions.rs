//! `columnseal completions SHELL`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Arguments, Context, Outcome};

/// Arguments of `completions`.
#[derive(clap::Args, Debug)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "columnseal", &mut script);
        let script = String::from_utf8_lossy(&script).into_owned();
        context.output.result(&serde_json::json!({ "script": script }), script.trim_end());
        Ok(())
    }
}
