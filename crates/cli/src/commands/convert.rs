//! `burn-ptq convert`.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use burn_ptq::import::onnx::{Encodings, Options};
use burn_ptq_deploy::export::{TfLiteOptions, check_name, onnx_model, tflite_model};
use burn_ptq_deploy::file;
use burn_ptq_deploy::output::write_atomically;

use crate::args::Convert;
use crate::output::{errln, outln};
use crate::table;
use burn_ptq_eval::program;

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
    let from = Format::of(&args.model)?;
    let to = Format::of(&args.out)?;
    ensure!(
        !args.qoperator || to == Format::Onnx,
        "--qoperator is about .onnx files, and {} is none",
        args.out.display()
    );
    let shown = args.model.display();
    let is_encoded = args.encodings.is_some();
    ensure!(
        !is_encoded || from == Format::Onnx,
        "--encodings is about .onnx files, and {shown} is none"
    );
    if !is_encoded && !program::is_program(&args.model) {
        bail!(
            "{shown} is not an integer model that can be converted: expected .bptq, or .tflite or .onnx that is quantized; \
             `burn-ptq quantize {shown}` makes a .bptq of a float model"
        );
    }
    let encodings = args.encodings.as_deref().map(Encodings::read).transpose()?;
    let options = Options { encodings, ..Options::default() };
    let (mut model, warnings) = program::read_with(&args.model, &options)?;
    for warning in warnings {
        errln!("warning: {warning}");
    }
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
