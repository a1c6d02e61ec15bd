// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Packed storage of weights: 2, 3, 4 or 8 bits each, densely, low bits first.

/// The bits in which a weight of `bits` (2..=8) is stored: 2 to 4 in as many, more in 8.
pub const fn storage_bits(bits: u8) -> u8 {
    match bits {
        0..=2 => 2,
        3 => 3,
        4 => 4,
        _ => 8,
    }
}

/// The bytes that `len` weights take at `storage` (2, 3, 4 or 8) bits each.
pub const fn packed_len(len: usize, storage: u8) -> usize {
    (len * storage as usize).div_ceil(8)
}

/// Packed signed weights, read by index.
///
/// The first weight sits in the lowest bits of the first byte, as in TensorFlow Lite's int4; rows
/// are not aligned. Eight weights of 3 bits take three bytes, of which the first is the lowest.
#[derive(Clone, Copy, Debug)]
pub struct PackedWeights<'a> {
    /// [`packed_len`] bytes.
    pub bytes: &'a [u8],
    /// Bits of storage a weight: 2, 3, 4 or 8.
    pub storage: u8,
}

impl PackedWeights<'_> {
    /// The weight at `index`, sign-extended.
    #[inline(always)]
    pub fn get(&self, index: usize) -> i32 {
        match self.storage {
            2 => i32::from(((self.bytes[index / 4] << (6 - 2 * (index % 4))) as i8) >> 6),
            3 => {
                let bit = 3 * index;
                let low = u16::from(self.bytes[bit / 8]);
                // A weight may reach into the next byte.
                let high = u16::from(self.bytes.get(bit / 8 + 1).copied().unwrap_or(0));
                i32::from((((low | high << 8) << (13 - bit % 8)) as i16) >> 13)
            }
            4 => i32::from(((self.bytes[index / 2] << (4 - 4 * (index % 2))) as i8) >> 4),
            _ => i32::from(self.bytes[index] as i8),
        }
    }

    /// Writes the weights from `first` on, until `out` is full; without a panic path.
    pub fn unpack(&self, first: usize, out: &mut [i8]) {
        match self.storage {
            2 => decode::<2, 1, 4>(self.bytes, first, out),
            3 => decode::<3, 3, 8>(self.bytes, first, out),
            4 => decode::<4, 1, 2>(self.bytes, first, out),
            _ => decode::<8, 1, 1>(self.bytes, first, out),
        }
    }
}

/// Sign-extends fields of `BITS` bits, `FIELDS` of them in `BYTES` bytes, from field `first` on.
fn decode<const BITS: usize, const BYTES: usize, const FIELDS: usize>(
    bytes: &[u8],
    first: usize,
    out: &mut [i8],
) {
    let field = |group: u32, place: usize| field::<BITS>(group, place) as i8;
    let (groups, rest) = bytes.get(first / FIELDS * BYTES..).unwrap_or(&[]).as_chunks::<BYTES>();
    // The last group may lack bytes that no field needs.
    let last = (!rest.is_empty()).then(|| joined(rest));
    let mut groups = groups.iter().map(|group| joined(group)).chain(last);
    let skipped = first % FIELDS;
    let begun = if skipped == 0 { 0 } else { (FIELDS - skipped).min(out.len()) };
    let Some((head, out)) = out.split_at_mut_checked(begun) else { return };
    if begun > 0 {
        let group = groups.next().unwrap_or(0);
        for (place, out) in head.iter_mut().enumerate() {
            *out = field(group, skipped + place);
        }
    }
    let (whole, tail) = out.as_chunks_mut::<FIELDS>();
    for (out, group) in whole.iter_mut().zip(groups.by_ref()) {
        *out = core::array::from_fn(|place| field(group, place));
    }
    if let Some(group) = groups.next() {
        for (place, out) in tail.iter_mut().enumerate() {
            *out = field(group, place);
        }
    }
}

/// The field of `BITS` bits at `place` of a group, sign-extended.
#[inline(always)]
pub(crate) fn field<const BITS: usize>(group: u32, place: usize) -> i32 {
    (group << (32 - BITS - BITS * place)) as i32 >> (32 - BITS)
}

/// At most four bytes as an integer, low byte first.
#[inline(always)]
pub(crate) fn joined(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |group, &byte| group << 8 | u32::from(byte))
}

/// Packs `values` into `out`, which is [`packed_len`] bytes long.
///
/// Only the low `storage` bits of each value are kept: the caller has clamped them.
pub fn pack(values: &[i8], storage: u8, out: &mut [u8]) {
    out.fill(0);
    let mask = (1_u16 << storage) - 1;
    for (index, &value) in values.iter().enumerate() {
        let bit = storage as usize * index;
        let [low, high] = ((value as u16 & mask) << (bit % 8)).to_le_bytes();
        out[bit / 8] |= low;
        if high != 0 {
            out[bit / 8 + 1] |= high;
        }
    }
}
