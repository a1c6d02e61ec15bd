//! `burn-ptq convert`.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use burn_ptq_deploy::export::{TfLiteOptions, check_name, onnx_model, tflite_model};
use burn_ptq_deploy::output::write_atomically;
use burn_ptq_deploy::{file, import};

use crate::args::Convert;
use crate::output::outln;
use crate::table;

/// The formats that models are written in, by extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Bptq,
    Tflite,
    Onnx,
}

impl Format {
    fn of(path: &Path) -> anyhow::Result<Self> {
        let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
        match extension.as_deref().and_then(|extension| extension.to_str()) {
            Some("bptq") => Ok(Self::Bptq),
            Some("tflite") => Ok(Self::Tflite),
            Some("onnx") => Ok(Self::Onnx),
            _ => bail!(
                "{} does not end in .bptq, .tflite or .onnx, which say the format",
                path.display()
            ),
        }
    }
}

pub(crate) fn run(args: Convert) -> anyhow::Result<()> {
    let (from, to) = (Format::of(&args.model)?, Format::of(&args.out)?);
    ensure!(
        !args.qoperator || to == Format::Onnx,
        "--qoperator is about .onnx files, and {} is none",
        args.out.display()
    );
    let shown = args.model.display();
    if from == Format::Onnx || !import::is_program(&args.model) {
        bail!(
            "{shown} is not an integer model that can be converted: expected .bptq, or .tflite that is quantized; \
             `burn-ptq quantize {shown}` makes a .bptq of a float model"
        );
    }
    let mut model = import::read(&args.model)?;
    if let Some(name) = &args.name {
        check_name(name)?;
        model.set_name(name);
    }
    let bytes = match to {
        Format::Bptq => file::to_bytes(&model)?,
        Format::Tflite => tflite_model(&model, TfLiteOptions::default())?,
        Format::Onnx => onnx_model(&model, args.qoperator)?,
    };
    let out = args.out.display();
    write_atomically(&args.out, &bytes).with_context(|| format!("cannot write {out}"))?;
    outln!("written to {out}: {}, {} nodes", table::bytes(bytes.len()), model.nodes.len())
}
