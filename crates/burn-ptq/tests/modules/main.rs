//! Burn modules in, and quantized networks as Burn modules out.

mod capture;
mod loops;
mod net;
mod quantized;
mod states;
mod statistics;
