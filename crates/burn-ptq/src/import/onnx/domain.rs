//! The domains that operators belong to.

use onnx_ir::NodeProto;

use super::error::Source;

/// Whether operators of `domain` are those of the standard.
pub(super) fn is_standard_domain(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// The operator with its domain where it is not a standard one.
pub(super) fn operator_name(node: &NodeProto, source: Source) -> String {
    if is_standard_domain(&node.domain) || source == Source::Module {
        node.op_type.clone()
    } else {
        format!("{}.{}", node.domain, node.op_type)
    }
}
