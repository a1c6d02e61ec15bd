//! `burn-ptq completions` and `burn-ptq man`: from the same definitions as the arguments.

use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Arguments;
use crate::output::{self, outln};

/// Prints the completion script of a shell.
pub(crate) fn completions(shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "burn-ptq", &mut script);
    output::print(String::from_utf8(script)?)
}

/// Prints the manual page of the command, or writes the pages of all commands to a folder.
pub(crate) fn man(folder: Option<&Path>) -> anyhow::Result<()> {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Arguments::command()).render(&mut page)?;
        return output::print(String::from_utf8(page)?);
    };
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), folder))
        .with_context(|| format!("cannot write {}", folder.display()))?;
    outln!("written to {}", folder.display())
}
