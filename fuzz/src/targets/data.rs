//! Samples and labels: arrays, archives, tables, images and recordings. What is accepted is read to its
//! end. An input is a letter that says what it is, and a file.

use std::path::Path;

use burn_ptq_eval::data::{Samples, read_array};
use burn_ptq_eval::input::ModelInput;
use tempfile::TempDir;

use crate::mutate::{self, Random};
use crate::{Target, damaged, text};

/// Letters and the names of the files that they stand for.
const KINDS: &[(u8, &str)] = &[
    (b'n', "x.npy"),
    (b'z', "x.npz"),
    (b'c', "x.csv"),
    (b't', "x.txt"),
    (b'p', "x.png"),
    (b'w', "x.wav"),
];

/// See the module.
pub const TARGET: Target = Target { name: "data", seeds, mutate, run };

fn seeds() -> Vec<Vec<u8>> {
    let of_kind = |kind: u8, file: Vec<u8>| [vec![kind], file].concat();
    let arrays = [
        npy("<f4", false, &[3, 1, 4, 4], &[0; 192]),
        npy("|u1", false, &[2, 4, 4, 1], &[7; 32]),
        npy(">i2", true, &[5, 16], &[1; 160]),
        npy("<f8", false, &[2, 16], &[0; 256]),
        npy("<i8", false, &[6], &[0; 48]),
    ];
    let table = "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,label\n1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,x\n\
                 0,0,0,0,0,0,0,0.5,-1,1e3,0,0,0,0,0,0,y\n";
    let plain = "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n";
    let mut files: Vec<Vec<u8>> = arrays.iter().map(|file| of_kind(b'n', file.clone())).collect();
    files.extend([
        of_kind(b'z', archive(&[("x.npy", &arrays[0])])),
        of_kind(b'z', archive(&[("x.npy", &arrays[1]), ("y.npy", &arrays[4])])),
        of_kind(b'c', table.into()),
        of_kind(b't', plain.into()),
        of_kind(b'p', png()),
        of_kind(b'w', wav()),
    ]);
    files
}

fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let damage = |random: &mut Random, input: &mut Vec<u8>, other: &[u8]| {
        let (kind, mut file) = (input[0], input[1..].to_vec());
        let other = other.get(1..).unwrap_or_default();
        if file.is_empty() || other.is_empty() {
            return;
        }
        let tokens = match kind {
            b'c' | b't' => true,
            b'n' => random.below(2) == 0,
            _ => false,
        };
        match tokens {
            true => text::damage(random, &mut file, other),
            false => mutate::damage(random, &mut file, other),
        }
        match kind {
            b'p' => seal_png(&mut file),
            b'z' if random.below(2) == 0 => {
                // A damaged array in a sound archive.
                let array = file.get(35..).unwrap_or_default().to_vec();
                file = archive(&[("x.npy", &array)]);
            }
            _ => {}
        }
        *input = [vec![kind], file].concat();
    };
    damaged(random, seeds, damage)
}

fn run(input: &[u8]) -> bool {
    thread_local! {
        static FOLDER: TempDir = tempfile::tempdir().expect("a temporary folder");
    }
    let Some((kind, file)) = input.split_first() else { return false };
    let Some((_, name)) = KINDS.iter().find(|(letter, _)| letter == kind) else { return false };
    FOLDER.with(|folder| {
        let path = folder.path().join(name);
        std::fs::write(&path, file).expect("the temporary folder can be written");
        let labels = read_array(&path).is_ok();
        samples(&path) || labels
    })
}

/// Whether the file holds samples of 16 elements, all of which can be read.
fn samples(path: &Path) -> bool {
    let input = ModelInput::new("x", &[1, 4, 4]);
    let Ok(samples) = Samples::open(path, &input) else { return false };
    let Ok(mut batches) = samples.batches(16, Some(64)) else { return false };
    batches.all(|batch| batch.is_ok_and(|batch| batch.values.len() == 16 * batch.count))
}

fn npy(descr: &str, fortran: bool, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let dims: String = shape.iter().map(|d| format!("{d},")).collect();
    let order = if fortran { "True" } else { "False" };
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({dims}), }}");
    header.push_str(&" ".repeat(63 - (10 + header.len()) % 64));
    header.push('\n');
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

/// A ZIP archive of stored files; the first one's content begins at byte 30 plus its name's length.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let mut fields = Vec::new();
        // Version, flags, method (stored), time, date.
        fields.extend([20, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        fields.extend(crc32fast::hash(content).to_le_bytes());
        fields.extend((content.len() as u32).to_le_bytes().repeat(2));
        fields.extend((name.len() as u16).to_le_bytes());
        fields.extend([0, 0]);
        let place = (bytes.len() as u32).to_le_bytes();
        directory.extend(
            [b"PK\x01\x02\x14\x00", &fields[..], &[0; 10], &place, name.as_bytes()].concat(),
        );
        bytes.extend([b"PK\x03\x04", &fields[..], name.as_bytes(), content].concat());
    }
    let place = (bytes.len() as u32).to_le_bytes();
    let count = (files.len() as u16).to_le_bytes().repeat(2);
    let length = (directory.len() as u32).to_le_bytes();
    bytes
        .extend([&directory[..], b"PK\x05\x06\0\0\0\0", &count, &length, &place, &[0; 2]].concat());
    bytes
}

/// A grey image of 4 by 4.
fn png() -> Vec<u8> {
    let rows: Vec<u8> = (0..4).flat_map(|y| [0, y, 2 * y, 3 * y, 4 * y]).collect();
    let (mut low, mut high) = (1_u32, 0_u32);
    for &byte in &rows {
        low = (low + u32::from(byte)) % 65521;
        high = (high + low) % 65521;
    }
    let length = rows.len() as u16;
    let mut stored = vec![0x78, 0x01, 0x01];
    stored.extend([length.to_le_bytes(), (!length).to_le_bytes()].concat());
    stored.extend(&rows);
    stored.extend((high << 16 | low).to_be_bytes());
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let header = [0, 0, 0, 4, 0, 0, 0, 4, 8, 0, 0, 0, 0];
    for (name, content) in [(b"IHDR", &header[..]), (b"IDAT", &stored), (b"IEND", &[])] {
        bytes.extend((content.len() as u32).to_be_bytes());
        bytes.extend([&name[..], content, &[0; 4]].concat());
    }
    seal_png(&mut bytes);
    bytes
}

/// Gives the chunks of an image the checksums that they should have.
fn seal_png(bytes: &mut [u8]) {
    let mut at = 8;
    while let Some(length) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        let end = (at + 8).saturating_add(u32::from_be_bytes(*length) as usize);
        let Some(sum) = bytes.get(at + 4..end).map(crc32fast::hash) else { return };
        let Some(place) = bytes.get_mut(end..end + 4) else { return };
        place.copy_from_slice(&sum.to_be_bytes());
        at = end + 4;
    }
}

/// A recording of 16 samples of 16 bits.
fn wav() -> Vec<u8> {
    let samples: Vec<u8> = (0..16_i16).flat_map(|i| (i * 1000).to_le_bytes()).collect();
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + samples.len() as u32).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend([16_000_u32.to_le_bytes(), 32_000_u32.to_le_bytes()].concat());
    bytes.extend([2, 0, 16, 0]);
    bytes.extend(b"data");
    bytes.extend((samples.len() as u32).to_le_bytes());
    bytes.extend(samples);
    bytes
}
