//! Damaged and hostile `.tflite` files: none makes the importer panic, run for long or take much memory.
//!
//! `BURN_PTQ_TFLITE_DAMAGED` sets how many damaged files are read.

#![allow(clippy::print_stdout, reason = "tests say what they measure")]

use std::fs;
use std::path::Path;

use burn_ptq_deploy::import::tflite::{TfliteImportError, from_bytes, is_float};
use draw::Draw;

#[allow(dead_code)]
#[path = "../conformance/problems/draw.rs"]
mod draw;

/// Damaged files in a usual test run.
const DAMAGED: usize = 6000;

/// Memory that the whole test may take at its peak, and what it starts with.
const MOST_KIBIBYTES: usize = 600 << 10;

fn files() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("imports/files");
    let mut paths: Vec<_> =
        fs::read_dir(folder).expect("the folder").flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a file")).collect()
}

/// A number at the edges of what offsets, lengths and extents can be.
fn edge(draw: &mut Draw) -> u32 {
    match draw.below(6) {
        0 => u32::MAX,
        1 => 1 << draw.below(32),
        2 => (1 << draw.below(32)) - 1,
        3 => draw.below(1 << 16) as u32,
        _ => draw.below(20) as u32,
    }
}

/// Damages a file in one place.
fn damage(draw: &mut Draw, bytes: &mut Vec<u8>, other: &[u8]) {
    if bytes.len() < 16 {
        return;
    }
    // Tables stand in the first part or in the last, weights between.
    let len = bytes.len();
    let place = match draw.below(4) {
        0 => draw.below(len.min(2000)),
        1 => len - 1 - draw.below(len.min(4000)),
        _ => draw.below(len),
    };
    let word = place / 4 * 4;
    // Damage that moves all that follows is rare: little of a file is read after it.
    match draw.below(7) + if draw.chance(10) { 2 } else { 0 } {
        0 => bytes[place] ^= 1 << draw.below(8),
        1 => bytes[place] = draw.pick(&[0, 1, 2, 4, 0x7F, 0x80, 0xFF]),
        2 | 3 => {
            let number = edge(draw).to_le_bytes();
            if let Some(part) = bytes.get_mut(word..word + 4) {
                part.copy_from_slice(&number);
            }
        }
        4 => {
            // An offset that leads a little elsewhere.
            if let Some(part) = bytes.get_mut(word..word + 4) {
                let own = u32::from_le_bytes([part[0], part[1], part[2], part[3]]);
                let moved = own.wrapping_add_signed(4 * draw.within(-8, 8));
                part.copy_from_slice(&moved.to_le_bytes());
            }
        }
        5 => {
            let from = draw.below(other.len());
            let count = (1 + draw.below(64)).min(other.len() - from).min(len - place);
            bytes[place..place + count].copy_from_slice(&other[from..from + count]);
        }
        6 => {
            let count = (1 + draw.below(32)).min(len - place);
            let copy = bytes[place..place + count].to_vec();
            let to = draw.below(len - count);
            bytes[to..to + count].copy_from_slice(&copy);
        }
        7 => bytes.truncate(len - draw.below(len / 2)),
        _ => {
            let count = (1 + draw.below(32)).min(len - place);
            bytes.drain(place..place + count);
        }
    }
}

/// The most memory that this process has had, where the system says it.
fn peak_kibibytes() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn no_damaged_file_makes_the_importer_panic_or_take_much_memory() {
    let count = std::env::var("BURN_PTQ_TFLITE_DAMAGED")
        .map_or(DAMAGED, |text| text.parse().expect("BURN_PTQ_TFLITE_DAMAGED is a number"));
    let files = files();
    let mut draw = Draw::new(1);
    let (mut read, mut slowest) = ([0; 5], std::time::Duration::ZERO);
    for _ in 0..count {
        let mut bytes = files[draw.below(files.len())].clone();
        let other = &files[draw.below(files.len())];
        for _ in 0..1 + draw.below(4) {
            damage(&mut draw, &mut bytes, other);
        }
        let begun = std::time::Instant::now();
        let kind = match from_bytes(&bytes) {
            Ok(_) => 0,
            Err(TfliteImportError::Unsupported { .. }) => 1,
            Err(TfliteImportError::Invalid(_)) => 2,
            Err(TfliteImportError::Damaged(_)) => 3,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                4
            }
        };
        read[kind] += 1;
        let _ = is_float(&bytes);
        slowest = slowest.max(begun.elapsed());
    }
    let [valid, unsupported, invalid, damaged, others] = read;
    println!(
        "{count} damaged files: {valid} are programs all the same, {unsupported} have parts that programs do not, \
         {invalid} break invariants, {damaged} are not read, {others} are something else; slowest {slowest:?}, \
         peak memory {:?} KiB",
        peak_kibibytes()
    );
    assert!(valid * 20 > count && damaged * 20 > count && unsupported * 20 > count, "{read:?}");
    assert!(
        peak_kibibytes().is_none_or(|peak| peak < MOST_KIBIBYTES),
        "{:?} KiB",
        peak_kibibytes()
    );
}

#[test]
fn every_beginning_of_a_file_is_refused() {
    for file in files() {
        for end in (0..file.len()).step_by(1 + file.len() / 500) {
            // What is cut off at the end may be the bytes of a constant that is not read.
            let _ = from_bytes(&file[..end]);
        }
        assert!(from_bytes(&file[..file.len() / 2]).is_err());
    }
}
