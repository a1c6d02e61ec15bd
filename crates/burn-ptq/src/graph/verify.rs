//! Building graphs that are right, and checking that passes keep them so.
//!
//! A graph is valid if
//! - every value is an input or written by exactly one node, before it is read;
//! - every value's shape is what its node infers, has one to six axes and no extent of 0; only
//!   operations that move elements, or work on each by itself, take more than three;
//! - there are inputs and outputs, none twice, and the outputs are written or inputs;
//! - loops are apart, and values cross their borders through steps alone.

use super::{Graph, MAX_AXES, Node, Op, Value, ValueId};

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
    /// A loop over the steps of a sequence is not closed.
    #[error("node '{node}': {problem}")]
    Loop {
        /// The node.
        node: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// There is nothing to feed, or nothing to read.
    #[error("the graph has no {what}")]
    Ends {
        /// `inputs` or `outputs`.
        what: &'static str,
    },
}

impl Graph {
    /// An empty graph: its output is its input of `shape`.
    pub fn new(name: impl Into<String>, input: impl Into<String>, shape: Vec<usize>) -> Self {
        Self {
            name: name.into(),
            values: vec![Value { name: input.into(), shape, gate: None, given: None }],
            nodes: Vec::new(),
            inputs: vec![ValueId(0)],
            outputs: vec![ValueId(0)],
            integers: vec![None],
            states: Vec::new(),
            origin: None,
            notes: Vec::new(),
        }
    }

    /// Adds an input of `shape`.
    pub fn add_input(&mut self, name: impl Into<String>, shape: Vec<usize>) -> ValueId {
        let id = ValueId(self.values.len());
        self.values.push(Value { name: name.into(), shape, gate: None, given: None });
        self.inputs.push(id);
        self.integers.push(None);
        id
    }

    /// Appends a node whose output is named `output`, and makes it the graph's only output.
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
            given: None,
            inputs: inputs.to_vec(),
            output: id,
        };
        let shape = self.infer(&node)?;
        self.values.push(Value { name: output.into(), shape, gate: None, given: None });
        self.nodes.push(node);
        self.outputs = vec![id];
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
        if shape.is_empty() || shape.contains(&0) {
            return Err(error(format!("an output sample of {shape:?} has no elements or axes")));
        }
        let most = inputs.iter().copied().chain([&shape[..]]).max_by_key(|shape| shape.len());
        if let Some(long) = most.filter(|shape| shape.len() > 3)
            && !node.op.takes_more_axes()
        {
            return Err(error(format!("it takes samples of at most three axes, not {long:?}")));
        }
        if shape.len() > MAX_AXES {
            return Err(error(format!(
                "an output sample of {shape:?} has more than {MAX_AXES} axes"
            )));
        }
        Ok(shape)
    }

    /// Checks the invariants that this file opens with.
    ///
    /// # Errors
    /// The first violation.
    pub fn verify(&self) -> Result<(), GraphError> {
        let mut written = vec![false; self.values.len()];
        let order = |id: ValueId, problem| {
            Err(GraphError::Order { value: self.value(id).name.clone(), problem })
        };
        for &id in &self.inputs {
            if std::mem::replace(&mut written[id.0], true) {
                return order(id, "an input twice");
            }
        }
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
        let mut read = vec![false; self.values.len()];
        for &id in &self.outputs {
            if !written[id.0] {
                return order(id, "an output, but never written");
            }
            if std::mem::replace(&mut read[id.0], true) {
                return order(id, "an output twice");
            }
        }
        for (what, ends) in [("inputs", &self.inputs), ("outputs", &self.outputs)] {
            if ends.is_empty() {
                return Err(GraphError::Ends { what });
            }
        }
        self.verify_loops()
    }
}
