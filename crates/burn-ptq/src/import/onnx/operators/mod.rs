//! The translation of ONNX operators on computed values, one file a family.
//!
//! To add one: a function in the file of its family and a line in [`OPERATORS`], with what it demands
//! of a node; then `cargo xtask docs`.

mod activation;
mod arithmetic;
mod attention;
mod blocks;
mod choose;
mod constant_choice;
mod convolution;
mod einsum;
mod gather_nd;
mod linear;
mod lookup;
mod lp_pool;
mod matmul;
mod movement;
mod normalization;
mod pad;
mod pooling;
mod recurrent;
mod reduce;
mod reshape;
mod resize;
mod shape;
mod transposed;
mod unsupported;
mod window;

use super::error::Refusal;
use super::growing::{Importer, Site};
use crate::graph::ValueId;

pub(super) use choose::is_not_zero;
pub(super) use shape::check_rank;
pub(super) use unsupported::unsupported;

/// Appends the nodes for one ONNX node and returns the value that stands for its first output.
type Translate = fn(&mut Importer, &Site) -> Result<ValueId, Refusal>;

/// An operator that can be imported.
pub(super) struct Operator {
    pub name: &'static str,
    /// The newest version of its definition that the translation was checked against; a newer one in
    /// the standard fails a test.
    pub reviewed: i64,
    /// What a node must be like, in a few words; `any` if there is nothing to say.
    pub condition: &'static str,
    /// `None` if it is only computed from constants and shapes.
    pub translate: Option<Translate>,
}

const fn operator(
    name: &'static str,
    reviewed: i64,
    translate: Translate,
    condition: &'static str,
) -> Operator {
    Operator { name, reviewed, condition, translate: Some(translate) }
}

/// An operator that is only computed from constants and shapes.
const fn folded(name: &'static str, reviewed: i64) -> Operator {
    let condition = "on constants and shapes only";
    Operator { name, reviewed, condition, translate: None }
}

/// The condition of comparisons.
const COMPARED: &str = "as Sub; gives truths, which are values of 0 and 1";

/// The operators that can be imported, by name.
pub(super) const OPERATORS: &[Operator] = &[
    operator("Abs", 13, activation::abs, "any"),
    operator(
        "Add",
        14,
        arithmetic::add,
        "two computed values of as many axes, whose extents are equal or 1 on each; or one value \
         and a constant of any shape",
    ),
    operator("And", 7, choose::and, "of truths"),
    operator("ArgMax", 13, reduce::arg_max, "along any axis but the batch"),
    operator("ArgMin", 13, reduce::arg_min, "along any axis but the batch"),
    operator(
        "Attention",
        25,
        attention::attention,
        "with a constant mask or none; without a cache, softcap beside a mask, and windows",
    ),
    operator(
        "AveragePool",
        22,
        pooling::average_pool,
        "over one or two axes; any stride, dilation and padding, as long as every window \
         holds an element",
    ),
    operator(
        "BatchNormalization",
        15,
        normalization::batch_normalization,
        "for inference, with constant parameters",
    ),
    operator(
        "Cast",
        28,
        shape::cast,
        "between float types, from truths, and of places of elements to integers; any type on constants",
    ),
    folded("CastLike", 25),
    operator("Ceil", 13, activation::ceil, "any"),
    operator("Celu", 28, activation::celu, "any"),
    operator("Clip", 13, activation::clip, "with constant bounds"),
    operator("Concat", 13, shape::concat, "of computed values, along any axis but the batch"),
    folded("Constant", 25),
    folded("ConstantOfShape", 25),
    operator(
        "Conv",
        22,
        convolution::conv,
        "over one or two axes, with constant weights; any stride, dilation, padding and groups",
    ),
    operator(
        "ConvTranspose",
        22,
        transposed::conv_transpose,
        "over one or two axes, with constant weights; any stride, dilation, padding and groups",
    ),
    operator("Cos", 22, activation::cos, "any"),
    folded("CumSum", 14),
    operator("DepthToSpace", 28, blocks::depth_to_space, "of images"),
    Operator {
        name: "DequantizeLinear",
        reviewed: 28,
        condition: "of what QuantizeLinear gives, with its scale; of constants, inputs of integers and operators \
                    that move these",
        translate: None,
    },
    operator("Div", 14, arithmetic::div, "as Add"),
    operator("Dropout", 22, normalization::dropout, "for inference, where it does nothing"),
    operator(
        "Einsum",
        28,
        einsum::einsum,
        "of one or two operands, without diagonals, the batch in front",
    ),
    operator("Elu", 22, activation::elu, "any"),
    operator("Equal", 19, choose::equal, COMPARED),
    operator("Erf", 13, activation::erf, "any"),
    operator("Exp", 13, activation::exp, "any"),
    operator("Expand", 13, movement::expand, "of axes behind the batch, to a constant shape"),
    operator("Flatten", 25, reshape::flatten, "that keeps the samples of a batch apart"),
    operator("Floor", 13, activation::floor, "any"),
    operator(
        "GRU",
        22,
        recurrent::gru,
        "over sequences in any direction, or for one step with what it keeps as input and output; \
         usual activations, without clip",
    ),
    operator(
        "Gather",
        13,
        movement::gather,
        "of computed values by constant indices, along any axis but the batch; of a table by an input of \
         integers",
    ),
    operator(
        "GatherND",
        13,
        gather_nd::gather_nd,
        "by constant indices that are the same for every sample, along axes but the batch",
    ),
    operator("Gelu", 20, activation::gelu, "any"),
    operator("Gemm", 13, linear::gemm, "with a constant weight and bias; transA is 0"),
    operator("GlobalAveragePool", 22, pooling::global_average_pool, "over one or two axes"),
    operator("GlobalLpPool", 22, lp_pool::global_lp_pool, "over one or two axes; p is 1 to 16"),
    operator("GlobalMaxPool", 22, pooling::global_max_pool, "over one or two axes"),
    operator("Greater", 13, choose::greater, COMPARED),
    operator("GreaterOrEqual", 16, choose::greater_or_equal, COMPARED),
    operator(
        "GroupNormalization",
        21,
        normalization::group,
        "with constant scales and shifts, one a channel or one a group",
    ),
    operator("HardSigmoid", 22, activation::hard_sigmoid, "any"),
    operator("HardSwish", 22, activation::hard_swish, "any"),
    operator("Identity", 25, shape::identity, "any"),
    Operator { name: "If", reviewed: 25, condition: "with a constant condition", translate: None },
    operator(
        "InstanceNormalization",
        22,
        normalization::instance,
        "over one or two axes, with constant scales and shifts",
    ),
    Operator {
        name: "IsNaN",
        reviewed: 20,
        condition: "of constants; of computed values it is false",
        translate: None,
    },
    operator(
        "LSTM",
        22,
        recurrent::lstm,
        "over sequences in any direction, or for one step with what it keeps as input and output; \
         usual activations, without clip and peepholes",
    ),
    operator(
        "LayerNormalization",
        17,
        normalization::layer,
        "over axes behind the batch, with constant scales and shifts; also in pieces",
    ),
    operator("LeakyRelu", 16, activation::leaky_relu, "any"),
    operator("Less", 13, choose::less, COMPARED),
    operator("LessOrEqual", 16, choose::less_or_equal, COMPARED),
    operator("Log", 13, activation::log, "any"),
    operator("LogSoftmax", 13, normalization::log_softmax, "along any axis but the batch"),
    operator(
        "LpNormalization",
        22,
        normalization::lp,
        "not over the batch; with p = 2 also in pieces",
    ),
    operator("LpPool", 22, lp_pool::lp_pool, "over one or two axes; p is 1 to 16"),
    operator(
        "MatMul",
        13,
        matmul::matmul,
        "of a computed value and a constant weight, one for all or one a head; or of two computed \
         values with as many axes",
    ),
    operator("Max", 13, activation::max, "as Add, of any number"),
    operator("MaxPool", 22, pooling::max_pool, "over one or two axes; without indices"),
    operator("Mean", 13, arithmetic::mean, "as Add, of any number"),
    operator("MeanVarianceNormalization", 13, normalization::mean_variance, "not over the batch"),
    operator("Min", 13, activation::min, "as Add, of any number"),
    operator("Mish", 22, activation::mish, "any"),
    folded("Mod", 28),
    operator("Mul", 14, arithmetic::mul, "as Add"),
    operator("Neg", 13, arithmetic::neg, "any"),
    operator("Not", 1, choose::not, "of truths"),
    operator("Or", 7, choose::or, "of truths"),
    operator("PRelu", 16, arithmetic::prelu, "with slopes as Add's second input"),
    operator(
        "Pad",
        25,
        pad::pad,
        "with a constant number of elements, in every mode; not of the batch",
    ),
    operator("Pow", 15, activation::pow, "with a constant exponent of one element"),
    Operator {
        name: "QuantizeLinear",
        reviewed: 28,
        condition: "of values to INT8, UINT8, INT16, UINT16 and their like of 2 and 4 bits, with one scale; of constants",
        translate: None,
    },
    operator(
        "RMSNormalization",
        23,
        normalization::root_mean_square,
        "over axes behind the batch, with constant scales; also in pieces",
    ),
    operator(
        "RNN",
        22,
        recurrent::rnn,
        "over sequences in any direction, or for one step with what it keeps as input and output; \
         tanh, relu or sigmoid, without clip",
    ),
    folded("Range", 27),
    operator("Reciprocal", 13, activation::reciprocal, "any"),
    operator("ReduceL1", 18, reduce::l1, "not over the batch"),
    operator("ReduceL2", 18, reduce::l2, "not over the batch"),
    operator("ReduceMax", 20, reduce::max, "not over the batch"),
    operator("ReduceMean", 18, pooling::reduce_mean, "not over the batch"),
    operator("ReduceMin", 20, reduce::min, "not over the batch"),
    folded("ReduceProd", 18),
    operator("ReduceSum", 13, reduce::sum, "not over the batch"),
    operator("ReduceSumSquare", 18, reduce::sum_square, "not over the batch"),
    operator("Relu", 14, activation::relu, "any"),
    operator(
        "Reshape",
        25,
        reshape::reshape,
        "to a constant shape that keeps the samples of a batch apart",
    ),
    operator(
        "Resize",
        19,
        resize::resize,
        "to the nearest element or linearly, by constant scales or sizes; linearly over one or two axes \
         and without antialiasing; not to parts of images, and not of the batch",
    ),
    operator("Round", 22, activation::round, "any"),
    operator("Selu", 22, activation::selu, "any"),
    folded("Shape", 25),
    operator("Shrink", 9, activation::shrink, "any"),
    operator("Sigmoid", 13, activation::sigmoid, "any"),
    operator("Sign", 13, activation::sign, "any"),
    operator("Sin", 22, activation::sin, "any"),
    folded("Size", 25),
    operator("Slice", 13, movement::slice, "with constant bounds; not of the batch"),
    operator("Softmax", 13, normalization::softmax, "along any axis but the batch"),
    operator("Softplus", 22, activation::softplus, "any"),
    operator("Softsign", 22, activation::softsign, "any"),
    operator("SpaceToDepth", 28, blocks::space_to_depth, "of images"),
    operator(
        "Split",
        18,
        movement::split,
        "into parts of constant sizes, along any axis but the batch",
    ),
    operator("Sqrt", 13, activation::sqrt, "any"),
    operator("Squeeze", 25, reshape::squeeze, "any; of a batch only where the file fixes it at 1"),
    operator("Sub", 14, arithmetic::sub, "as Add"),
    operator("Sum", 13, arithmetic::sum, "as Add, of any number"),
    operator("Swish", 24, activation::swish, "any"),
    operator("Tanh", 13, activation::tanh, "any"),
    operator("ThresholdedRelu", 22, activation::thresholded_relu, "any"),
    operator("Tile", 13, movement::tile, "by constant numbers, behind the batch"),
    operator("TopK", 24, reduce::top_k, "along any axis but the batch, with a constant k"),
    operator("Transpose", 25, reshape::transpose, "any"),
    folded("Trilu", 14),
    operator("Unsqueeze", 25, reshape::unsqueeze, "any"),
    operator(
        "Upsample",
        10,
        resize::upsample,
        "to the nearest element or linearly; not of the batch",
    ),
    operator(
        "Where",
        16,
        choose::choose,
        "by a constant or a computed condition, between values and constants as Add's",
    ),
    operator("Xor", 7, choose::xor, "of truths"),
];

/// The operator of the standard that is called `name`, if it can be imported.
pub(super) fn find(name: &str) -> Option<&'static Operator> {
    OPERATORS.iter().find(|operator| operator.name == name)
}

/// Translates a node that reads computed values.
pub(super) fn import(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let translate = find(site.op).and_then(|operator| operator.translate).ok_or_else(|| {
        Refusal::new(
            format!("{} is supported only on constants and shapes", site.op),
            unsupported::advice("", site.op),
        )
    })?;
    translate(importer, site)
}
