//! The operations as plain loops, to be read against the formulas.
