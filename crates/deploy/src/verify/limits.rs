//! How large tensors, arenas and windows may be.

/// The largest arena that a program may ask for: 256 MiB, more than any microcontroller addresses.
pub const MAX_ARENA_BYTES: usize = 1 << 28;

/// The largest kernel extent, stride, dilation and padding.
pub const MAX_WINDOW: usize = u16::MAX as usize;

/// The product of `extents`, or `None` if one is 0 or the product exceeds [`MAX_ARENA_BYTES`].
pub(crate) fn element_count(extents: &[usize]) -> Option<usize> {
    let product = extents.iter().try_fold(1_usize, |product, &e| product.checked_mul(e))?;
    (1..=MAX_ARENA_BYTES).contains(&product).then_some(product)
}
