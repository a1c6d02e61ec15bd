//! The exported C of many programs in a few executables.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use burn_ptq_deploy::export::{C99, Exporter, Options, SelfTest, target};
use burn_ptq_deploy::place::Placed;

/// A program with inputs, back to back.
pub(crate) struct Run<'a> {
    pub model: &'a Placed,
    pub inputs: &'a [u8],
}

/// Programs in one executable.
const TOGETHER: usize = 50;

/// Whether there is a compiler.
pub(crate) fn available() -> bool {
    let mut gcc = Command::new("gcc");
    let status = gcc.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// The output bytes of every program for all its inputs.
pub(crate) fn outputs(runs: &[Run]) -> Result<Vec<Vec<u8>>, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut all = Vec::new();
    for (bundle, runs) in runs.chunks(TOGETHER).enumerate() {
        all.extend(together(folder.path(), bundle == 0, runs)?);
    }
    Ok(all)
}

fn together(folder: &Path, first: bool, runs: &[Run]) -> Result<Vec<Vec<u8>>, String> {
    let text = |error: std::io::Error| error.to_string();
    let (mut programs, mut calls, mut inputs) = (String::new(), String::new(), Vec::new());
    let host = target("host").map_err(|error| error.to_string())?;
    for (index, run) in runs.iter().enumerate() {
        let (mut program, placement) = run.model.clone().into_parts();
        program.name = format!("p{index}");
        for (position, node) in program.nodes.iter_mut().enumerate() {
            node.name = format!("p{index}n{position}");
        }
        let model = Placed::new(program, placement, run.model.kernels()).expect("still valid");
        let sample = (vec![0; model.input_bytes()], vec![0; model.output_bytes()]);
        let self_test = SelfTest { samples: vec![sample] };
        let rendered = C99.render(&model, &self_test, &Options::new(host));
        let files = rendered.map_err(|error| error.to_string())?.files;
        let file = |name: String| {
            let file = files.iter().find(|file| file.path == name).expect("an exported file");
            String::from_utf8_lossy(&file.contents).into_owned()
        };
        let include = format!("#include \"p{index}.h\"\n");
        let source = file(format!("p{index}.c")).replace(&include, &file(format!("p{index}.h")));
        programs.push_str(&source);
        let samples = run.inputs.len() / model.input_bytes();
        calls.push_str(&format!(
            "    for (int i = 0; i < {samples}; i++) {{
        if (fread(p{index}_input(), 1, P{index}_INPUT_BYTES, stdin) != P{index}_INPUT_BYTES) {{
            return 1;
        }}
        p{index}_run();
        fwrite(p{index}_output(), 1, P{index}_OUTPUT_BYTES, stdout);
    }}
"
        ));
        inputs.extend(run.inputs);
        if first && index == 0 {
            for file in &files {
                if let Some(name) = file.path.strip_prefix("runtime/") {
                    fs::write(folder.join(name), &file.contents).map_err(text)?;
                }
            }
            // The runtime is compiled once for all.
            shell(folder, "cd \"$0\" && gcc -std=c99 -O1 -c bptq_*.c")?;
        }
    }
    let main = format!(
        "#include <stdio.h>\n{programs}\nint main(void)\n{{\n{calls}    return fflush(stdout) != 0;\n}}\n"
    );
    fs::write(folder.join("driver.c"), main).map_err(text)?;
    fs::write(folder.join("inputs"), inputs).map_err(text)?;
    shell(folder, "cd \"$0\" && gcc -std=c99 -O0 -o driver driver.c bptq_*.o")?;
    let found = shell(folder, "cd \"$0\" && ./driver < inputs")?;
    let mut rest = found.as_slice();
    let mut outputs = Vec::new();
    for run in runs {
        let (input, output) = (run.model.input_bytes(), run.model.output_bytes());
        let len = run.inputs.len() / input * output;
        let (part, tail) = rest.split_at_checked(len).ok_or("too few output bytes")?;
        outputs.push(part.to_vec());
        rest = tail;
    }
    Ok(outputs)
}

fn shell(folder: &Path, script: &str) -> Result<Vec<u8>, String> {
    let run = Command::new("sh").args(["-c", script]).arg(folder).output();
    let run = run.map_err(|error| error.to_string())?;
    if run.status.success() {
        return Ok(run.stdout);
    }
    Err(format!("{script}: {}\n{}", run.status, String::from_utf8_lossy(&run.stderr)))
}
