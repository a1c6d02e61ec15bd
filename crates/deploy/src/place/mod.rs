//! Memory: from a program to one that has a place for every tensor.

pub mod kernels;
mod layer;
pub mod lifetime;
mod placed;
pub mod placement;
pub mod plan;
pub mod quads;
mod reduce;
pub mod rows;
pub mod scalar;
pub mod scratch;
mod spans;
pub mod sums;
pub mod tiles;

pub use placed::{Memory, Placed};
pub use placement::{Placement, Region, Stream};
