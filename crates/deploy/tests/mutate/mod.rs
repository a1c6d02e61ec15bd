//! Damage to files, by seeds: what a reader of untrusted bytes must survive.

/// SplitMix64: the same damage for the same seed, everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, or 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound.max(1) as u64) as usize
    }

    /// A range of at most `longest` of `len` places.
    pub(crate) fn range(&mut self, len: usize, longest: usize) -> std::ops::Range<usize> {
        let start = self.below(len);
        start..(start + 1 + self.below(longest)).min(len)
    }

    /// A number that is small, or at the edges of what counts and extents can be.
    pub(crate) fn edge(&mut self) -> u64 {
        match self.below(8) {
            0 => self.number() >> self.below(64),
            1 => [u64::MAX, 1 << 63, (1 << 63) - 1, 1 << 32, 1 << 31, 1 << 20][self.below(6)],
            2 => [127, 128, 255, 256, 32767, 65535, 65536][self.below(7)],
            _ => self.below(17) as u64,
        }
    }
}

/// A number in seven bits a byte, the lowest first, as postcard and protobuf write it.
pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Damages `bytes` in one place; some damage is a piece of `other`.
pub(crate) fn damage(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    let len = bytes.len();
    let place = random.below(len + 1);
    match random.below(9) {
        0 => {
            for _ in 0..=random.below(8) {
                let place = random.below(len);
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
        1 => {
            let value = [0, 1, 0x7F, 0x80, 0xFF, random.number() as u8][random.below(6)];
            if let Some(byte) = bytes.get_mut(place) {
                *byte = value;
            }
        }
        2 => bytes.truncate(len - random.below(1 + len / 8)),
        3 => drop(bytes.drain(random.range(len, 32))),
        4 => drop(bytes.splice(place..place, other[random.range(other.len(), 256)].to_vec())),
        5 => {
            let copy = bytes[random.range(len, 32)].to_vec();
            bytes.splice(place..place, copy);
        }
        6 => drop(bytes.splice(place..place, varint(random.edge()))),
        7 => {
            // A number in the place of the one that begins here.
            let rest = &bytes[place..];
            let own = rest.iter().position(|byte| byte & 0x80 == 0).map_or(0, |last| last + 1);
            bytes.splice(place..place + own, varint(random.edge()));
        }
        _ => {
            let number = varint(random.edge());
            let end = (place + number.len()).min(len);
            bytes.splice(place..end, number);
        }
    }
}

/// The payload of a `.bptq` file with a header that fits it and the version of the file `like`, so that damage
/// reaches the decoder and the verifier.
pub(crate) fn sealed(payload: &[u8], like: &[u8]) -> Vec<u8> {
    let mut bytes = b"BPTQ".to_vec();
    bytes.extend_from_slice(&like[4..8]);
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}
