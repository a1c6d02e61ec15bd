//! The operations for speed; every function gives the bits of its twin in `reference`.
