//! Scripts that ask other interpreters, in the Python of `scripts/install-oracles.sh`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// `BURN_PTQ_PYTHON`, else the Python of `scripts/install-oracles.sh`.
fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::env::var_os("BURN_PTQ_PYTHON").map_or_else(|| root.join(".venv/bin/python"), PathBuf::from)
}

/// Bytes as hexadecimal digits.
pub(crate) fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether there is a Python, or what to do.
pub(crate) fn oracle() -> Result<(), String> {
    let python = python();
    if python.exists() {
        return Ok(());
    }
    Err(format!(
        "no Python at {}; run scripts/install-oracles.sh, or set BURN_PTQ_PYTHON to a Python \
         with the packages of scripts/requirements.txt",
        python.display()
    ))
}

/// What `script` says of each request.
pub(crate) fn answers(script: &str, requests: &[&Value]) -> Result<Vec<Value>, String> {
    let all = requests.iter().map(|&request| request.clone()).collect();
    let answers = ask(script, &Value::Array(all))?;
    match answers.len() == requests.len() {
        true => Ok(answers),
        false => Err(format!("{} answers to {} requests", answers.len(), requests.len())),
    }
}

/// The list that `script` writes of a request.
pub(crate) fn ask(script: &str, request: &Value) -> Result<Vec<Value>, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracles").join(script);
    let mut child = Command::new(python())
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("Python does not start: {error}"))?;
    let request = serde_json::to_vec(request).map_err(|error| error.to_string())?;
    let mut stdin = child.stdin.take().ok_or("stdin is not a pipe")?;
    // The script reads everything before it writes.
    let written = stdin.write_all(&request);
    drop(stdin);
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || written.is_err() {
        return Err(format!("{script} failed, {}:\n{complaint}", output.status));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{script} wrote no JSON: {error}\n{complaint}"))
}
