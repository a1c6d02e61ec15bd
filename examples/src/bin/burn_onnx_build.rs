//! A network that burn-onnx turned into Burn code, quantized: as an integer program, and as a file of weights that the
//! generated code loads.
//!
//! With the feature `burn-onnx` that happens at build time (see `build.rs`), as in a project of yours;
//! without it the code is the one in `burn-onnx/`, which saves compiling Burn for the build script as well.
//!
//! ```text
//! cargo run --release -p burn-ptq-examples --features burn-onnx --bin burn_onnx_build
//! ```

use std::convert::Infallible;
use std::error::Error;

use burn::tensor::{Device, Tensor};
use burn_ptq::{Quantizer, Recipe, capture};
use burn_ptq_examples::data::Split;
use burn_ptq_examples::training::{accuracy, demo};
use burn_store::{BurnpackStore, ModuleSnapshot};

#[allow(clippy::all, dead_code, unreachable_pub)]
mod digits {
    #[cfg(feature = "burn-onnx")]
    include!(concat!(env!("OUT_DIR"), "/digits/digits.rs"));
    #[cfg(not(feature = "burn-onnx"))]
    include!("../../burn-onnx/digits.rs.in");
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex();
    let model = digits::Model::default();
    let (train, evaluation) = (Split::read(&demo(), "train")?, Split::read(&demo(), "eval")?);

    let sample = Tensor::zeros([1, 1, 8, 8], &device);
    let graph = capture(&model, sample, |model, images| model.forward(images))?;
    let batches = train.first_images(256, &device).split(32, 0);
    let quantized = Quantizer::new(Recipe::preset("w4a8")?).quantize(graph, batches)?;

    let float = accuracy(&evaluation, |x| Ok::<_, Infallible>(model.forward(x)))?;
    let integer = accuracy(&evaluation, |x| quantized.forward(x))?;
    println!("generated code, float: {:.2} %", 100.0 * float);
    println!("W4A8 integer program:  {:.2} %", 100.0 * integer);
    assert!(integer > float - 0.02, "four bits cost more than they should");

    // The quantized weights as a file in place of the one that burn-onnx wrote: the generated code loads it.
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("digits-w4a8.bpk");
    let written = quantized.write_back(model)?;
    written.save_into(&mut BurnpackStore::from_file(&file))?;
    let loaded = digits::Model::from_file(&file, &device);
    let weights = accuracy(&evaluation, |x| Ok::<_, Infallible>(loaded.forward(x)))?;
    println!("generated code, 4-bit weights of a file: {:.2} %", 100.0 * weights);
    let same = accuracy(&evaluation, |x| Ok::<_, Infallible>(written.forward(x)))?;
    assert_eq!(weights, same, "the file holds what was written back");
    Ok(())
}
