//! The Rust code of the README and the guide compiles, runs, and does what its comments say.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn_ptq_examples::data::Split;
use burn_ptq_examples::net::DigitsNet as Net;
use burn_ptq_examples::training::demo;

#[derive(Clone, Debug)]
struct Batch {
    images: Tensor<4>,
}

struct Images(Split);

impl Batcher<usize, Batch> for Images {
    fn batch(&self, indices: Vec<usize>, device: &Device) -> Batch {
        Batch { images: self.0.batch(&indices, device).0 }
    }
}

/// The README's code between the two marks.
fn from_rust(
    net: Net,
    loader: &dyn DataLoader<Batch>,
    images: Tensor<4>,
    folder: &Path,
) -> Result<Net, Box<dyn Error>> {
    let device = Device::flex();
    // README begins
    use burn_ptq::{Quantizer, Recipe, capture};

    let sample = Tensor::zeros([1, 1, 8, 8], &device); // says the shape
    let graph = capture(&net.valid(), sample, Net::forward)?; // layers are named after their paths
    let batches = loader.iter().take(8).map(|batch| batch.map(|batch| batch.images));
    let batches = batches.collect::<Result<Vec<_>, _>>()?; // any iterator of tensors calibrates
    let quantized = Quantizer::new(Recipe::preset("w4a8")?).quantize(graph, batches)?;
    quantized.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));

    let outputs = quantized.forward(images)?; // the integer program, bit for bit
    let simulated = quantized.simulate(&device); // a Burn module: save, load, move it
    let net = quantized.write_back(net)?; // quantized weights in your own module
    quantized.save(&folder.join("model.bptq"))?;
    quantized.export("c", &folder.join("code"))?;
    // README ends
    assert_eq!(outputs.dims()[1], 10);
    assert!(simulated.num_params() > 0);
    Ok(net)
}

#[test]
fn the_rust_code_of_the_readme_runs() {
    let device = Device::flex();
    let split = Split::read(&demo(), "train").unwrap();
    let images = split.first_images(4, &device);
    let indices = (0..split.len()).collect();
    let loader: Arc<dyn DataLoader<Batch>> = DataLoaderBuilder::new(Images(split))
        .batch_size(32)
        .set_device(device.clone())
        .build(InMemDataset::new(indices));
    let folder = tempfile::tempdir().unwrap();
    let net = Net::new(&Device::flex().autodiff());
    from_rust(net, loader.as_ref(), images, folder.path()).unwrap();
    assert!(folder.path().join("model.bptq").is_file());
    assert!(folder.path().join("code/Makefile").is_file());
}

#[test]
fn the_rust_code_of_the_documents_is_the_code_that_runs() {
    let (_, after) = include_str!("readme.rs").split_once("// README begins\n").unwrap();
    let (run, _) = after.split_once("    // README ends").unwrap();
    let run: Vec<&str> =
        run.lines().map(|line| line.strip_prefix("    ").unwrap_or(line)).collect();
    let readme = include_str!("../../README.md");
    let guide = include_str!("../../docs/guide/src/burn.md");
    for document in [readme, guide] {
        let mut blocks = document.split("```rust\n").skip(1);
        let (shown, _) = blocks.next().and_then(|block| block.split_once("```")).unwrap();
        assert_eq!(shown.lines().collect::<Vec<_>>(), run);
        assert!(blocks.next().is_none(), "one block is tested: test the others too");
    }
}
