//! Packed storage of weights: 2, 4 or 8 bits each, densely, low bits first.

/// The bits in which a weight of `bits` (2..=8) is stored: 2 in 2, 3 and 4 in 4, more in 8.
pub const fn storage_bits(bits: u8) -> u8 {
    match bits {
        0..=2 => 2,
        3..=4 => 4,
        _ => 8,
    }
}

/// The bytes that `len` weights take at `storage` (2, 4 or 8) bits each.
pub const fn packed_len(len: usize, storage: u8) -> usize {
    (len * storage as usize).div_ceil(8)
}

/// Packed signed weights, read by index.
///
/// The first weight sits in the lowest bits of the first byte, as in TensorFlow Lite's int4; rows
/// are not aligned.
#[derive(Clone, Copy, Debug)]
pub struct PackedWeights<'a> {
    /// [`packed_len`] bytes.
    pub bytes: &'a [u8],
    /// Bits of storage a weight: 2, 4 or 8.
    pub storage: u8,
}

impl PackedWeights<'_> {
    /// The weight at `index`, sign-extended.
    #[inline(always)]
    pub fn get(&self, index: usize) -> i32 {
        match self.storage {
            2 => i32::from(((self.bytes[index / 4] << (6 - 2 * (index % 4))) as i8) >> 6),
            4 => i32::from(((self.bytes[index / 2] << (4 - 4 * (index % 2))) as i8) >> 4),
            _ => i32::from(self.bytes[index] as i8),
        }
    }

    /// Writes the weights from `first` on, until `out` is full; without a panic path.
    pub fn unpack(&self, first: usize, out: &mut [i8]) {
        match self.storage {
            2 => decode::<2, 4>(self.bytes, first, out),
            4 => decode::<4, 2>(self.bytes, first, out),
            _ => decode::<8, 1>(self.bytes, first, out),
        }
    }
}

/// Sign-extends fields of `BITS` bits, `PER_BYTE` of them in a byte, from field `first` on.
fn decode<const BITS: usize, const PER_BYTE: usize>(bytes: &[u8], first: usize, out: &mut [i8]) {
    let field = |byte: u8, place: usize| ((byte << (8 - BITS - BITS * place)) as i8) >> (8 - BITS);
    let mut bytes = bytes.get(first / PER_BYTE..).unwrap_or(&[]).iter();
    let skipped = first % PER_BYTE;
    let begun = if skipped == 0 { 0 } else { (PER_BYTE - skipped).min(out.len()) };
    let Some((head, out)) = out.split_at_mut_checked(begun) else { return };
    if let (true, Some(&byte)) = (begun > 0, bytes.as_slice().first()) {
        for (place, out) in head.iter_mut().enumerate() {
            *out = field(byte, skipped + place);
        }
        bytes.next();
    }
    let (whole, tail) = out.as_chunks_mut::<PER_BYTE>();
    for (out, &byte) in whole.iter_mut().zip(bytes.by_ref()) {
        *out = core::array::from_fn(|place| field(byte, place));
    }
    if let Some(&byte) = bytes.next() {
        for (place, out) in tail.iter_mut().enumerate() {
            *out = field(byte, place);
        }
    }
}

/// Packs `values` into `out`, which is [`packed_len`] bytes long.
///
/// Only the low `storage` bits of each value are kept: the caller has clamped them.
pub fn pack(values: &[i8], storage: u8, out: &mut [u8]) {
    out.fill(0);
    let per_byte = 8 / storage as usize;
    let mask = if storage == 8 { 0xFF } else { (1_u8 << storage) - 1 };
    for (index, &value) in values.iter().enumerate() {
        let shift = storage as usize * (index % per_byte);
        out[index / per_byte] |= ((value as u8) & mask) << shift;
    }
}
