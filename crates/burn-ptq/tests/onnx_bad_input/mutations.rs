//! Thousands of damaged files: whatever they hold, the importer answers, soon and in little memory.

use std::panic::catch_unwind;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor};
use burn_ptq::graph::{FloatModel, Graph, GraphError, dims3};
use burn_ptq::import::onnx;
use burn_ptq::prepare::prepare;
use onnx_ir::{Message, ModelProto};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::ALLOCATOR;
use super::build::{bytes, elementwise_model, image_model, sequence_model};

/// How many files are mutated, unless `BURN_PTQ_MUTATIONS` says otherwise.
const FILES: u64 = 10_000;
/// Graphs with at most so many multiply-accumulates are executed.
const MAX_MACS: usize = 100_000_000;
/// Graphs with at most so many elements in all values are executed.
const MAX_ELEMENTS: usize = 1_000_000;
/// No file may keep the importer busy for longer.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn random_bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

/// A number below `bound`.
fn below(rng: &mut ChaCha8Rng, bound: usize) -> usize {
    (rng.next_u64() % bound.max(1) as u64) as usize
}

/// A number that is small, huge or negative, in seven bits a byte as protobuf writes it.
fn varint(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut value = rng.next_u64() >> below(rng, 64);
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A range of at most `longest` places in a file.
fn range(rng: &mut ChaCha8Rng, len: usize, longest: usize) -> std::ops::Range<usize> {
    let start = below(rng, len);
    start..(start + 1 + below(rng, longest)).min(len)
}

/// Damages a file in one to four places.
fn mutate(rng: &mut ChaCha8Rng, file: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..1 + below(rng, 4) {
        let len = file.len();
        let place = below(rng, len + 1);
        match below(rng, 7) {
            0 => {
                for _ in 0..1 + below(rng, 8) {
                    let place = below(rng, len);
                    if let Some(byte) = file.get_mut(place) {
                        *byte ^= 1 << below(rng, 8);
                    }
                }
            }
            1 => {
                let place = below(rng, len);
                if let Some(byte) = file.get_mut(place) {
                    *byte = rng.next_u32() as u8;
                }
            }
            2 => file.truncate(len - below(rng, 1 + len / 8)),
            3 => drop(file.drain(range(rng, len, 32))),
            4 => drop(file.splice(place..place, other[range(rng, other.len(), 256)].to_vec())),
            5 => drop(file.splice(place..place, varint(rng))),
            _ => {
                let number = varint(rng);
                let end = (place + number.len()).min(len);
                file.splice(place..end, number);
            }
        }
    }
}

/// A number at the edges of what attributes hold.
fn edge(rng: &mut ChaCha8Rng) -> i64 {
    match below(rng, 8) {
        0 => rng.next_u64() as i64 >> below(rng, 64),
        1 => [i64::MIN, i64::MAX, 1 << 20, 1 << 31, 1 << 40][below(rng, 5)],
        _ => below(rng, 9) as i64 - 3,
    }
}

/// One of a list.
fn pick<'a, T>(rng: &mut ChaCha8Rng, list: &'a mut [T]) -> Option<&'a mut T> {
    let place = below(rng, list.len());
    list.get_mut(place)
}

/// Changes one to four fields of a model and keeps it well-formed.
fn mutate_model(rng: &mut ChaCha8Rng, model: &mut ModelProto, other: &ModelProto) {
    model.opset_import[0].version = 7 + below(rng, 18) as i64;
    let graph = model.graph.mut_or_insert_default();
    for _ in 0..1 + below(rng, 4) {
        let mut nodes = other.graph.node.clone();
        let (Some(stranger), Some(node)) = (pick(rng, &mut nodes), pick(rng, &mut graph.node))
        else {
            return;
        };
        match below(rng, 8) {
            0 => node.op_type = stranger.op_type.clone(),
            1 => node.attribute = stranger.attribute.clone(),
            2 => {
                let name = stranger.input.first().cloned().unwrap_or_default();
                if let Some(input) = pick(rng, &mut node.input) {
                    *input = name;
                }
            }
            3 | 4 => {
                if let Some(attribute) = pick(rng, &mut node.attribute) {
                    attribute.i = edge(rng);
                    if let Some(value) = pick(rng, &mut attribute.ints) {
                        *value = edge(rng);
                    }
                }
            }
            5 => {
                if let Some(tensor) = pick(rng, &mut graph.initializer) {
                    let values: Vec<i64> =
                        (0..tensor.raw_data.len() / 8).map(|_| edge(rng)).collect();
                    tensor.raw_data =
                        values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into();
                }
            }
            6 => {
                // Another shape over as many elements, or over other elements.
                if let Some(tensor) = pick(rng, &mut graph.initializer) {
                    let place = below(rng, tensor.dims.len() + 1);
                    tensor.dims.insert(place, 1 + below(rng, 2) as i64);
                    let elements = tensor.dims.iter().product::<i64>().clamp(0, 1 << 20) as usize;
                    tensor.float_data.resize(elements, 0.5);
                }
            }
            _ => {
                let kind = graph.input[0].type_.mut_or_insert_default().mut_tensor_type();
                let dims = &mut kind.shape.mut_or_insert_default().dim;
                if let Some(dim) = pick(rng, dims) {
                    dim.set_dim_value(edge(rng));
                }
            }
        }
    }
}

/// A damaged file: every second one at the level of bytes, the others at that of fields.
fn mutated(seed: u64, files: &[Vec<u8>]) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut file = files[below(&mut rng, files.len())].clone();
    let other = &files[below(&mut rng, files.len())];
    if seed.is_multiple_of(2) {
        mutate(&mut rng, &mut file, other);
        return file;
    }
    let parse = |file: &[u8]| ModelProto::parse_from_bytes(file).expect("a good file");
    let mut model = parse(&file);
    mutate_model(&mut rng, &mut model, &parse(other));
    bytes(&model)
}

/// Small files that are good: built ones, and the demo's model.
fn good_files() -> Vec<Vec<u8>> {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/demo/model.onnx");
    let mut files =
        [image_model(), sequence_model(), elementwise_model()].map(|m| bytes(&m)).to_vec();
    files.push(std::fs::read(demo).expect("the demo's model is in the repository"));
    files
}

/// Imports a file and prepares its graph. Both graphs are verified and, if small, executed.
fn import(file: &[u8]) -> Option<Result<(), GraphError>> {
    let imported = onnx::parse(file, "mutated").ok()?;
    Some(imported.verify().and_then(|()| {
        let prepared = prepare(imported.clone())?;
        prepared.verify()?;
        execute(imported);
        execute(prepared);
        Ok(())
    }))
}

/// Runs one sample of zeros.
fn execute(graph: Graph) {
    let elements: usize = graph.values.iter().map(|v| v.len()).sum();
    if graph.macs() > MAX_MACS || elements > MAX_ELEMENTS {
        return;
    }
    let [a, b, c] = dims3(&graph.value(graph.input).shape);
    let expected = dims3(&graph.value(graph.output).shape);
    let device = Device::flex();
    let input = Tensor::<4>::zeros([1, a, b, c], &device);
    let output = FloatModel::new(Arc::new(graph), &device).forward(input);
    assert_eq!(output.dims()[1..], expected);
}

#[test]
fn mutated_files_neither_panic_nor_hang_nor_take_memory() {
    let files = good_files();
    let count = std::env::var("BURN_PTQ_MUTATIONS").map_or(FILES, |n| n.parse().expect("a number"));
    let (sender, receiver) = mpsc::channel();
    let worker = thread::spawn(move || {
        for seed in 0..count {
            let file = mutated(seed, &files);
            let start = Instant::now();
            let imported = catch_unwind(|| import(&file));
            if sender.send((seed, imported, start.elapsed())).is_err() {
                return;
            }
        }
    });
    let (mut good, mut slowest) = (0, Duration::ZERO);
    for seed in 0..count {
        let (seed, imported, time) = receiver
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("the importer hangs on the mutation with seed {seed}"));
        match imported {
            Err(_) => panic!("the importer panics on the mutation with seed {seed}"),
            Ok(Some(Err(error))) => panic!("seed {seed} gives an invalid graph: {error}"),
            Ok(Some(Ok(_))) => good += 1,
            Ok(None) => {}
        }
        slowest = slowest.max(time);
    }
    worker.join().expect("the worker ends");
    let peak = ALLOCATOR.peak_usage_as_gb();
    eprintln!(
        "{count} mutated files, of which {good} are still models; slowest {slowest:?}, peak memory \
         {peak:.3} GB"
    );
    assert!(good > count / 100, "the mutations leave nothing to import: {good}");
    assert!(peak < 1.0, "the importer took {peak} GB");
}
