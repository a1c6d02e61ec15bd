//! Integer programs: the model file, its verifier and memory planner, the interpreter and the
//! exporters. Does not depend on Burn: a firmware's build script can use it alone.

pub mod board;
pub mod border;
pub mod bounded;
pub mod export;
pub mod file;
pub mod interpreter;
pub mod io;
pub mod kernels;
pub mod lifetime;
pub mod memory;
pub mod model;
pub mod op;
pub mod output;
pub mod plan;
pub mod preprocess;
pub mod printable;
pub mod scratch;
pub mod size;
pub mod stream;
pub mod target;
pub mod verify;
