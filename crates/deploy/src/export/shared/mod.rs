//! What exporters share: nothing here knows a language.

pub mod arrays;
pub mod describe;
pub mod firmware;
pub mod license;
pub mod names;
pub mod packing;
pub mod samples;
pub mod self_test;
pub mod template;
