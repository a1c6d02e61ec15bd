//! TensorFlow Lite's file format, as far as both directions need it: [`export`](crate::export) writes such
//! files, [`import`](crate::import) reads them.
//!
//! | file | what |
//! |---|---|
//! | `schema.rs` | codes of operators and elements, and what they mean |
//! | `places.rs` | at which place of which table a field stands |
//! | `bytes.rs` | FlatBuffers: tables, vectors and texts, each bounds-checked |
//! | `file.rs` | models, graphs, tensors and operators of a file |
//! | `names.rs` | names of all operators, for messages |

pub mod bytes;
pub mod file;
mod names;
pub mod places;
pub mod schema;

pub use schema::Element;

/// The name of the graph's only signature, as TensorFlow's converter has it.
pub(crate) const SIGNATURE: &str = "serving_default";

/// The name of the metadata in which an export says where its program came from.
pub(crate) const METADATA: &str = "burn-ptq";
