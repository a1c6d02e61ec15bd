//! `cargo xtask picture`: the demo's output as the picture of the README.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use burn_ptq_deploy::output::write_atomically;

use crate::results::{built, target_folder};

/// Run the demo and draw what it prints as docs/demo.svg.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Use this burn-ptq instead of building one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// Height of a line, width of a letter and margin, in pixels.
const LINE: usize = 20;
const LETTER: f64 = 8.43;
const MARGIN: usize = 24;

/// The bar on top of the terminal, in pixels.
const BAR: usize = 32;

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut command_line = built(arguments.binary.as_deref())?;
    let folder = target_folder().join("picture");
    std::fs::create_dir_all(&folder).context("cannot create a folder in target")?;
    let demo = output(command_line.arg("demo").current_dir(&folder))?;
    let make = ["-C", "burn-ptq-demo/w8a8/c", "test"];
    let test = output(Command::new("make").args(make).current_dir(&folder))?;
    let last = test.lines().rfind(|line| line.starts_with("self-test")).context("no self-test")?;
    let session =
        format!("$ burn-ptq demo\n{}\n\n$ make {}\n{last}", demo.trim_end(), make.join(" "));
    let path = crate::root().join("docs/demo.svg");
    write_atomically(&path, draw(&session).as_bytes())?;
    println!("written to docs/demo.svg");
    Ok(ExitCode::SUCCESS)
}

/// What a command prints to standard output.
fn output(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed");
    String::from_utf8(output.stdout).context("the output is not UTF-8")
}

/// A terminal with these lines; commands stand out.
fn draw(session: &str) -> String {
    let lines: Vec<&str> = session.lines().collect();
    let columns = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let width = (columns as f64 * LETTER) as usize + 2 * MARGIN;
    let height = lines.len() * LINE + BAR + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#1e2127\"/>\n"
    );
    for (i, color) in ["#ff5f57", "#febc2e", "#28c840"].iter().enumerate() {
        let x = MARGIN + 20 * i;
        svg.push_str(&format!("<circle cx=\"{x}\" cy=\"16\" r=\"6\" fill=\"{color}\"/>\n"));
    }
    svg.push_str(
        "<g font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, monospace\" \
         font-size=\"14\" xml:space=\"preserve\">\n",
    );
    for (i, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        let y = BAR + LINE * i + LINE;
        let color = match line.starts_with("$ ") {
            true => "#98c379",
            false => "#dcdfe4",
        };
        svg.push_str(&format!(
            "<text x=\"{MARGIN}\" y=\"{y}\" fill=\"{color}\">{}</text>\n",
            escaped(line)
        ));
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_drawn_and_escaped() {
        let svg = draw("$ run a\n\n<b> & c");
        assert_eq!(svg.matches("<text").count(), 2);
        assert!(svg.contains("&lt;b&gt; &amp; c"), "{svg}");
    }
}
