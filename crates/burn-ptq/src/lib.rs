//! Post-training quantization for Burn.
