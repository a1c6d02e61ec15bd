//! The registries of operators and operations are consistent.

use burn_ptq::import::{onnx, supported_operations};

#[test]
fn operators_are_sorted_and_say_a_condition() {
    let operators: Vec<_> = onnx::supported_operators().collect();
    assert!(operators.is_sorted_by_key(|operator| operator.name));
    assert!(operators.iter().all(|operator| !operator.condition.is_empty()));
}

#[test]
fn operations_of_burn_are_imported_as_operators_that_are_supported() {
    for operation in supported_operations() {
        let known = onnx::supported_operators().any(|operator| operator.name == operation.onnx);
        assert!(known, "{} is imported as {}", operation.burn, operation.onnx);
    }
}
