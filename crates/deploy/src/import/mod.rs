//! Importers: integer programs from files of others.
//!
//! An importer knows a format and [`Program`](crate::program::Program), and nothing of exporters.

pub mod tflite;
