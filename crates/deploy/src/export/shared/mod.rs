//! What exporters share: nothing here knows a language.

pub(super) mod arrays;
pub(super) mod describe;
pub(super) mod ends;
pub(super) mod firmware;
pub(super) mod identity;
pub(super) mod license;
pub(super) mod movement;
pub(super) mod names;
pub(super) mod packing;
pub(super) mod refusal;
pub(super) mod samples;
pub(super) mod self_test;
pub(super) mod states;
pub(super) mod template;
pub(super) mod window;
