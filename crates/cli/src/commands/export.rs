//! `burn-ptq export`.

use burn_ptq_deploy::export::{SelfTest, exporter, target};
use burn_ptq_deploy::file;
use burn_ptq_deploy::model::IntModel;

use crate::args::Export;
use crate::table;

/// Samples of the self-test.
const SAMPLES: usize = 4;

pub fn run(args: Export) -> anyhow::Result<()> {
    let exporters = args.to.iter().map(|name| exporter(name)).collect::<Result<Vec<_>, _>>()?;
    let target = target(&args.target)?;
    let model = file::read(&args.model)?;
    let self_test = SelfTest::new(&model, &patterns(&model))?;
    std::fs::create_dir_all(&args.out)?;
    for exporter in exporters {
        let folder = args.out.join(exporter.name());
        let exported = exporter.export(&model, &self_test, target, &folder)?;
        println!(
            "{}: {} files, {} of constants (code: see the linker's map), RAM {}",
            folder.display(),
            exported.files.len(),
            table::bytes(exported.flash_constant_bytes),
            table::bytes(exported.ram_bytes)
        );
    }
    Ok(())
}

/// Input bytes that reach all values of the input's grid; a model file carries no real samples.
fn patterns(model: &IntModel) -> Vec<Vec<u8>> {
    let tensor = &model.tensors[model.input.0];
    let span = i64::from(tensor.grid.max) - i64::from(tensor.grid.min) + 1;
    let sample = |seed: usize| {
        (0..tensor.len())
            .flat_map(|i| {
                let mixed = (i + 1).wrapping_mul(40_503).wrapping_add(seed * 7919);
                let q = i64::from(tensor.grid.min) + (mixed >> 3) as i64 % span;
                let bytes = (q as i16).to_le_bytes();
                bytes.into_iter().take(tensor.dtype.bytes())
            })
            .collect()
    };
    (0..SAMPLES).map(sample).collect()
}
