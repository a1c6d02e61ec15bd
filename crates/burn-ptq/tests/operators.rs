//! The page of what can be imported is what the registries say.

use std::path::Path;

use burn_ptq::import::{onnx, supported_markdown, supported_operations};

#[test]
fn the_page_of_operators_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operators.md");
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    let fresh = page == supported_markdown();
    assert!(fresh, "docs/operators.md is stale: burn-ptq operators > docs/operators.md");
}

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
