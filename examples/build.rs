//! With the feature `burn-onnx`: Burn code out of ONNX models, by burn-onnx, when the examples are built:
//! of the demo's network, and of the MLPerf Tiny tasks in the folder that `BURN_PTQ_ASSETS` names.
//!
//! burn-onnx is the program of a build script: it would compile Burn a second time, for the machine that
//! builds. Without the feature the demo's network is what it generated before.

fn main() {
    for task in TASKS {
        println!("cargo::rustc-check-cfg=cfg(has_{task})");
    }
    #[cfg(feature = "burn-onnx")]
    generate::all();
}

const TASKS: [&str; 4] = ["ic", "kws", "vww", "ad"];

#[cfg(feature = "burn-onnx")]
mod generate {
    use std::path::{Path, PathBuf};
    use std::{env, fs};

    use burn_onnx::ModelGen;

    use super::TASKS;

    pub(super) fn all() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        generate("digits", &root.join("../crates/cli/demo/model.onnx"));

        println!("cargo::rerun-if-env-changed=BURN_PTQ_ASSETS");
        let assets = env::var_os("BURN_PTQ_ASSETS").map(PathBuf::from);
        if let Some(assets) = &assets {
            println!("cargo::rustc-env=BURN_PTQ_GENERATED_FROM={}", assets.display());
        }
        for task in TASKS {
            let model = assets.as_ref().map(|assets| assets.join(task).join("model.onnx"));
            if let Some(model) = model.filter(|model| model.is_file()) {
                generate(task, &model);
                println!("cargo::rustc-cfg=has_{task}");
            }
        }
    }

    /// Writes `OUT_DIR/<name>/<name>.rs` with the weights beside it.
    fn generate(name: &str, model: &Path) {
        println!("cargo::rerun-if-changed={}", model.display());
        // The generated files are called after the model's.
        let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
        let named = out.join(format!("{name}.onnx"));
        fs::copy(model, &named).expect("OUT_DIR can be written");
        let input = named.to_str().expect("a path of cargo is UTF-8");
        ModelGen::new().input(input).out_dir(name).run_from_script();
    }
}
