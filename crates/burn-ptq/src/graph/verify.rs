//! Building graphs that are right, and checking that passes keep them so.
//!
//! A graph is valid if
//! - every value is the input or written by exactly one node, before it is read;
//! - every value's shape is what its node infers, has one to three axes and no extent of 0;
//! - the output is written.

use super::{Graph, Node, Op, Value, ValueId};

/// What is wrong with a graph.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// A node's inputs do not fit its operation.
    #[error("node '{node}' ({op}): {problem}")]
    Shape {
        /// The node.
        node: String,
        /// Its operation.
        op: &'static str,
        /// What was expected and found.
        problem: String,
    },
    /// A value is read before anything wrote it, or written twice.
    #[error("value '{value}' is {problem}")]
    Order {
        /// The value.
        value: String,
        /// `read before it is written` or the like.
        problem: &'static str,
    },
}

impl Graph {
    /// An empty graph: its output is its input of `shape`.
    pub fn new(name: impl Into<String>, input: impl Into<String>, shape: Vec<usize>) -> Self {
        Self {
            name: name.into(),
            values: vec![Value { name: input.into(), shape }],
            nodes: Vec::new(),
            input: ValueId(0),
            output: ValueId(0),
            origin: None,
        }
    }

    /// Appends a node whose output is named `output`, and makes it the graph's output.
    ///
    /// # Errors
    /// If the inputs do not fit the operation.
    pub fn push(
        &mut self,
        name: impl Into<String>,
        op: impl Into<Op>,
        inputs: &[ValueId],
        output: impl Into<String>,
    ) -> Result<ValueId, GraphError> {
        let id = ValueId(self.values.len());
        let node = Node {
            name: name.into(),
            op: op.into(),
            clamp: None,
            batch_norm: None,
            inputs: inputs.to_vec(),
            output: id,
        };
        let shape = self.infer(&node)?;
        self.values.push(Value { name: output.into(), shape });
        self.nodes.push(node);
        self.output = id;
        Ok(id)
    }

    /// The shape that `node` gives its output.
    fn infer(&self, node: &Node) -> Result<Vec<usize>, GraphError> {
        let operator = node.op.operator();
        let error =
            |problem| GraphError::Shape { node: node.name.clone(), op: operator.name(), problem };
        let inputs: Vec<&[usize]> =
            node.inputs.iter().map(|&i| self.value(i).shape.as_slice()).collect();
        let expected = operator.arity();
        if !expected.contains(&inputs.len()) {
            let what = if inputs.len() < *expected.start() { "few" } else { "many" };
            return Err(error(format!("{} as inputs are too {what}", inputs.len())));
        }
        let shape = operator.infer_shape(&inputs).map_err(error)?;
        if shape.is_empty() || shape.len() > 3 || shape.contains(&0) {
            return Err(error(format!("an output sample of {shape:?} has no elements or axes")));
        }
        Ok(shape)
    }

    /// Checks the invariants that this file opens with.
    ///
    /// # Errors
    /// The first violation.
    pub fn verify(&self) -> Result<(), GraphError> {
        let mut written = vec![false; self.values.len()];
        written[self.input.0] = true;
        let order = |id: ValueId, problem| {
            Err(GraphError::Order { value: self.value(id).name.clone(), problem })
        };
        for node in &self.nodes {
            if let Some(&id) = node.inputs.iter().find(|v| !written[v.0]) {
                return order(id, "read before it is written");
            }
            if std::mem::replace(&mut written[node.output.0], true) {
                return order(node.output, "written twice");
            }
            let inferred = self.infer(node)?;
            let stored = &self.value(node.output).shape;
            if inferred != *stored {
                return Err(GraphError::Shape {
                    node: node.name.clone(),
                    op: node.op.operator().name(),
                    problem: format!("infers {inferred:?}, but its value is stored as {stored:?}"),
                });
            }
        }
        if !written[self.output.0] {
            return order(self.output, "the output, but never written");
        }
        Ok(())
    }
}
