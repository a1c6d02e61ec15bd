//! What the examples share: the digits, a network for them and its training.

pub mod data;
pub mod net;
pub mod training;
