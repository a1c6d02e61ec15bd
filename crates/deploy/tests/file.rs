//! `.bptq` files: the same program comes back, damage is named, and no file can do harm.

#[allow(dead_code)]
mod looped;
mod mutate;
#[allow(dead_code)]
mod programs;
#[allow(dead_code)]
mod stateful;

use std::fs;

use burn_ptq_deploy::file::{FORMAT_VERSION, from_bytes, read, to_bytes, write};
use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::program::{IntNode, IntOp, MAX_NODES, TensorId};
use burn_ptq_kernels::params::GateFunction;
use mutate::{Random, damage, sealed, varint};
use programs::{gate, narrow_product, running_sum, valid_parts, valid_programs, wide_sums};
use stateful::{every_kind, placed};

const HEADER: usize = 20;

fn bytes_of(model: &Placed) -> Vec<u8> {
    to_bytes(model).expect("a program can be encoded")
}

#[test]
fn programs_of_every_operation_come_back_and_are_written_alike() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for model in valid_programs() {
        let path = folder.path().join("model.bptq");
        write(&path, &model).expect("a valid program can be written");
        let found = read(&path).expect("a written file can be read");
        assert_eq!(found, model);
        assert_eq!(bytes_of(&found), fs::read(&path).expect("the file"));
    }
    let names: Vec<_> = fs::read_dir(folder.path()).expect("the folder").collect();
    assert_eq!(names.len(), 1, "no temporary file stays: {names:?}");
}

/// The version in a file's header.
fn version(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes[4..8].try_into().expect("four bytes"))
}

#[test]
fn programs_with_states_come_back_in_a_version_of_their_own() {
    let model = placed(every_kind());
    let bytes = bytes_of(&model);
    assert_eq!(version(&bytes), 6);
    let found = from_bytes(&bytes).expect("a written file");
    assert_eq!((&found, bytes_of(&found)), (&model, bytes.clone()));
    // A reader without states must not take it for a program without them.
    let mut older = bytes.clone();
    older[4] = 5;
    let error = from_bytes(&older).expect_err("refused").to_string();
    assert!(error.contains("bytes follow the program"), "{error}");
    let mut payload = bytes[HEADER..].to_vec();
    let name = payload.windows(6).rposition(|window| window == b"copied").expect("its name");
    // The name, two ids of one byte, then the value 7, of which postcard writes twice as much.
    assert_eq!(payload[name + 8], 14);
    payload.splice(name + 8..name + 9, [0x80, 0x02]);
    refused(
        &sealed(&payload, &bytes),
        "tensor `h0`: expected an initial value from -128 to 127, found 128",
    );
}

#[test]
fn programs_with_loops_come_back_in_a_version_of_their_own() {
    for model in [running_sum(4, false), looped::every_kind()] {
        let model = placed(model);
        let bytes = bytes_of(&model);
        assert_eq!(version(&bytes), FORMAT_VERSION);
        let found = from_bytes(&bytes).expect("a written file");
        assert_eq!((&found, bytes_of(&found)), (&model, bytes.clone()));
        // A reader without loops must not take it for a program without them.
        let mut older = bytes.clone();
        older[4] = 6;
        let error = from_bytes(&older).expect_err("refused").to_string();
        assert!(error.contains("bytes follow the program"), "{error}");
    }
    let bytes = bytes_of(&placed(running_sum(4, false)));
    let mut payload = bytes[HEADER..].to_vec();
    // It ends with the first node, the number of nodes, the steps and a pair.
    assert_eq!(payload[payload.len() - 6..], [1, 3, 4, 1, 2, 3]);
    let steps = payload.len() - 4;
    payload.splice(steps..steps + 1, varint(u64::from(u32::MAX)));
    refused(&sealed(&payload, &bytes), "a loop of 1 to 65536 steps, found 4294967295");
}

#[test]
fn operations_of_recurrent_layers_are_written_in_the_version_of_loops() {
    let parts = [wide_sums(), narrow_product(), gate(GateFunction::Tanh)].map(placed);
    for model in parts {
        let bytes = bytes_of(&model);
        assert_eq!(version(&bytes), FORMAT_VERSION);
        let found = from_bytes(&bytes).expect("a written file");
        assert_eq!((&found, bytes_of(&found)), (&model, bytes.clone()));
        // Without states and loops, in the version that has neither, a reader may not know the operation.
        let mut older = bytes.clone();
        older[4] = 5;
        let payload = &bytes[HEADER..bytes.len() - 2];
        assert_eq!(bytes[bytes.len() - 2..], [0, 0]);
        refused(&sealed(payload, &older), "it has operations of version 7 in version 5");
    }
}

#[test]
fn programs_without_states_are_written_as_they_were() {
    let as_before = |model: &Placed| {
        let dtype = |id: TensorId| model.tensors[id.0].dtype;
        let is_gate = |node: &IntNode| match node.op {
            IntOp::Gate { .. } => true,
            IntOp::FullyConnected { .. } | IntOp::Mul { .. } => {
                dtype(node.inputs[0]) != dtype(node.output)
            }
            _ => false,
        };
        model.loops.is_empty() && !model.nodes.iter().any(is_gate)
    };
    let (older, newer): (Vec<_>, Vec<_>) = valid_programs().into_iter().partition(as_before);
    assert_eq!(newer.len(), 5);
    for model in older {
        let bytes = bytes_of(&model);
        assert_eq!(version(&bytes), 5);
        // No list of states ends it: in the newer version it is too short.
        let mut newer = bytes.clone();
        newer[4] = 6;
        assert!(from_bytes(&newer).is_err());
        newer = sealed(&[&bytes[HEADER..], &[0]].concat(), &newer);
        assert_eq!(from_bytes(&newer).expect("no states"), model);
    }
}

#[test]
fn files_that_claim_more_than_any_program_has_are_refused_unread() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut header = bytes_of(&valid_programs()[0])[..HEADER].to_vec();
    header[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    fs::write(file.path(), header).expect("the bytes");
    let error = read(file.path()).expect_err("the file must be refused").to_string();
    assert!(error.contains("it holds more than 64 MiB"), "{error}");

    let mut many = valid_parts().swap_remove(0);
    many.program.outputs[0].classes = vec![String::new(); MAX_NODES + 1];
    refused(&bytes_of(&many.placed().expect("any number of classes")), "at most 16384 each");
}

#[track_caller]
fn refused(bytes: &[u8], message: &str) {
    let error = from_bytes(bytes).expect_err("the file must be refused").to_string();
    assert!(error.contains(message), "expected `{message}` in `{error}`");
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), bytes).expect("the bytes");
    let from_disk = read(file.path()).expect_err("the file must be refused").to_string();
    assert!(from_disk.contains(message), "expected `{message}` in `{from_disk}`");
}

#[test]
fn damage_is_named() {
    let good = bytes_of(&valid_programs()[0]);
    refused(b"", "not a .bptq file: expected it to begin with \"BPTQ\", found \"\"");
    refused(
        b"\x93NUMPY",
        "not a .bptq file: expected it to begin with \"BPTQ\", found \"\\\\x93NUM\"",
    );
    refused(&good[..4], "the file is truncated: expected 20 bytes, found 4");
    for length in [HEADER, HEADER + 1, good.len() - 1] {
        refused(&good[..length], "the file is truncated: expected");
    }
    refused(&[&good[..], b"x"].concat(), "the file is too long: expected");

    let mut newer = good.clone();
    newer[4] = 8;
    let known = format!("this burn-ptq reads up to {FORMAT_VERSION}");
    refused(&newer, &format!("format version 8, {known}; update burn-ptq"));
    newer[4] = 0;
    refused(&newer, &format!("format version 0, {known}; quantize the model again"));

    let mut flipped = good.clone();
    flipped[HEADER + 30] ^= 1;
    refused(&flipped, "the file is damaged: expected checksum");

    let payload = &good[HEADER..];
    refused(&sealed(&payload[..payload.len() - 2], &good), "does not hold an integer program");
    refused(&sealed(&[payload, b"xy"].concat(), &good), "2 bytes follow the program");

    let mut invalid = payload.to_vec();
    let scale = 0.05_f32.to_le_bytes();
    let place = invalid.windows(4).position(|window| window == scale).expect("the first grid");
    invalid[place..place + 4].copy_from_slice(&(-1.0_f32).to_le_bytes());
    refused(
        &sealed(&invalid, &good),
        "the integer program is invalid: tensor `x`: expected a positive finite scale",
    );
}

#[test]
fn paths_stand_in_the_errors_of_the_operating_system() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("missing").join("model.bptq");
    let error = read(&path).expect_err("there is no file").to_string();
    assert!(error.starts_with("cannot read") && error.contains("missing"), "{error}");
    write(&path, &valid_programs()[0]).expect("the folder is made");
    assert_eq!(read(&path).expect("a program"), valid_programs()[0]);
    let inside = path.join("model.bptq");
    let error =
        write(&inside, &valid_programs()[0]).expect_err("a file is not a folder").to_string();
    assert!(error.starts_with("cannot write") && error.contains("missing"), "{error}");
}

/// The most memory that this process ever asked for, in KiB; `None` where the system does not say.
fn peak_virtual_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[test]
fn mutated_files_neither_panic_nor_allocate_out_of_proportion() {
    let more = [every_kind(), looped::every_kind()].map(placed);
    let models: Vec<Placed> = valid_programs().into_iter().chain(more).collect();
    let before = peak_virtual_kib();
    let mut random = Random::new(2);
    let (mut decoded, mut accepted) = (0, 0);
    for round in 0..10_000 {
        let file = bytes_of(&models[round % models.len()]);
        let other = bytes_of(&models[random.below(models.len())]);
        // Every third file is broken from the outside; the others have a header that fits, so that
        // the decoder and the verifier meet them.
        let bytes = if round % 3 == 0 {
            let mut file = file;
            damage(&mut random, &mut file, &other);
            file
        } else {
            let (header, payload) = file.split_at(HEADER);
            let mut payload = payload.to_vec();
            for _ in 0..=random.below(3) {
                damage(&mut random, &mut payload, &other[HEADER..]);
                if payload.is_empty() {
                    payload.push(0);
                }
            }
            sealed(&payload, header)
        };
        match from_bytes(&bytes) {
            Ok(_) => accepted += 1,
            Err(error) if error.to_string().contains("program is invalid") => decoded += 1,
            Err(_) => {}
        }
    }
    // The mutations are worth something only if each stage meets many of them.
    assert!(accepted > 300 && decoded > 300, "{accepted} accepted, {decoded} refused by verify");
    if let (Some(before), Some(after)) = (before, peak_virtual_kib()) {
        // Other tests' threads reserve address space of their own.
        assert!(after - before < 1 << 20, "{} KiB more address space", after - before);
    }
}
