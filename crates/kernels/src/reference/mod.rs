// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! The operations as plain loops, to be read against the formulas.
//!
//! One sample, NHWC, flat slices. Activations are `i8` or, where a function is generic over
//! [`Storage`], 16-bit. The caller has checked that lengths and geometries agree, as the program
//! verifier does. The weighted operations index slices directly: a wrong length panics, and
//! [`embedded`](crate::embedded) has their twins for microcontrollers. All others have no panic path,
//! and run there as they are; a wrong length gives wrong outputs.

mod activation;
mod binary;
mod elementwise;
mod gate;
mod layout;
mod log_softmax;
mod lookup;
mod matmul;
mod normalize;
mod pool;
mod rearrange;
mod reduce;
mod resize;
mod softmax;
mod storage;
mod table;
mod top_k;
mod weighted;

pub use activation::{
    abs_table8, function_table8, hard_swish_table8, leaky_relu_table8, sigmoid_table8, tanh_table8,
};
pub use binary::{
    add_strided, add_strided_in_place, div, div_in_place, maximum, maximum_in_place, minimum,
    minimum_in_place, mul_strided, mul_strided_in_place, prelu, prelu_in_place, sub, sub_in_place,
};
pub use elementwise::{add, add_in_place, mul, mul_in_place, requantize, requantize_in_place};
pub use gate::{gate16, gate16_in_place, sigmoid_table};
pub use layout::{concat, constant, pack_nibbles, pad, transpose, unpack_nibbles};
pub use log_softmax::{log_softmax, log_softmax_exponentials, log_softmax_integer_bits};
pub use lookup::lookup;
pub use matmul::batch_matmul;
pub use normalize::{SHIFT_BITS, ScalesAndShifts, inverse_root, normalize};
pub use pool::{average_pool, max_pool};
pub use rearrange::{MAX_AXES, Steps, rearrange};
pub use reduce::{ROOT_BITS, reduce, root};
pub use resize::{
    Alignment, POSITION_BITS, nearest_position, resize_linear, resize_position, resize_position_of,
};
pub use softmax::{softmax, softmax_params};
pub use storage::Storage;
pub use table::{
    table_lookup8, table_lookup8_in_place, table_lookup16, table_lookup16_in_place, table8, table16,
};
pub use top_k::top_k;
pub use weighted::{
    conv2d, depthwise_conv2d, finish, finish_as, fully_connected, transpose_conv2d,
};
