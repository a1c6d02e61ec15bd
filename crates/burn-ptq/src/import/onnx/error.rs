//! What can be wrong with an ONNX file.

use std::fmt;
use std::path::PathBuf;

use burn_ptq_deploy::printable;

use super::limits::{IR_VERSIONS, MAX_FILE_BYTES, OPSETS};

/// Why a model could not be imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file could not be read at all.
    #[error("cannot read '{}': {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// There is no byte.
    #[error("'{name}' is empty: expected a model, found 0 bytes; export or copy it again")]
    Empty {
        /// The model.
        name: String,
    },
    /// The file is larger than any model that this importer is made for.
    #[error(
        "'{name}' has more than the {MAX_FILE_BYTES} bytes that are read; models for \
         microcontrollers are smaller"
    )]
    TooLarge {
        /// The model.
        name: String,
    },
    /// The bytes are not an ONNX model.
    #[error(
        "'{name}' is not an ONNX file, or it is truncated or damaged: {problem}; export or copy \
         it again"
    )]
    NotOnnx {
        /// The model.
        name: String,
        /// What was found.
        problem: String,
    },
    /// The file is of another kind.
    #[error("'{name}' is {what}; expected an ONNX or TensorFlow Lite file: {hint}")]
    Foreign {
        /// The model.
        name: String,
        /// What it is.
        what: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
    /// The bytes begin as a TensorFlow Lite file does, but are not one.
    #[error(
        "'{name}' is not a TensorFlow Lite file, or it is truncated or damaged: {problem}; convert \
         or copy it again"
    )]
    NotTflite {
        /// The model.
        name: String,
        /// What was found.
        problem: String,
    },
    /// The model computes with integers already.
    #[error(
        "'{name}' is quantized already: `burn-ptq convert {name} model.bptq` makes an integer program \
         of it as it is; to quantize it anew from its dequantized weights, give --requantize"
    )]
    Quantized {
        /// The model.
        name: String,
    },
    /// The version of the file format is unknown.
    #[error(
        "'{name}' has ONNX IR version {found}, supported are {} to {}; export it with another \
         version of the exporter",
        IR_VERSIONS.start(), IR_VERSIONS.end()
    )]
    IrVersion {
        /// The model.
        name: String,
        /// The version in the file.
        found: i64,
    },
    /// The version of the operators is unknown.
    #[error(
        "'{name}' uses opset {found}, supported are {} to {}; convert it in Python: \
         onnx.save(onnx.version_converter.convert_version(onnx.load('{name}'), {}), 'converted.onnx')",
        OPSETS.start(), OPSETS.end(), if found < OPSETS.start() { 13 } else { *OPSETS.end() }
    )]
    Opset {
        /// The model.
        name: String,
        /// The version in the file.
        found: i64,
    },
    /// Inputs, outputs, nodes or constants that cannot be imported: all of them.
    #[error("'{name}': {}", list(problems, "part of the model", "parts of the model"))]
    Unsupported {
        /// The model.
        name: String,
        /// Every problem, in the order of the file.
        problems: Vec<Problem>,
    },
}

/// One thing in a model that cannot be imported.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The node's name, or its first output's where it has none; an input's, output's or
    /// initializer's name.
    pub node: String,
    /// The operator; or `input`, `output`, `initializer` or `model`.
    pub op: String,
    /// What was found, and what was expected.
    pub problem: String,
    /// What can be done.
    pub hint: String,
    /// How many nodes depend on it, or on others with the same cause.
    pub blocks: usize,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (node, op) = (short(&self.node), short(&self.op));
        write!(f, "'{node}' ({op}): {}; {}{}", self.problem, self.hint, self.blocked("it"))
    }
}

impl Problem {
    /// Whether both are told in one line.
    pub(super) fn has_cause_of(&self, other: &Self) -> bool {
        (&self.problem, &self.hint) == (&other.problem, &other.hint)
            && (self.op == other.op || self.problem == QUANTIZED)
    }

    fn blocked(&self, whom: &str) -> String {
        match self.blocks {
            0 => String::new(),
            1 => format!(" (1 node waits for {whom})"),
            n => format!(" ({n} nodes wait for {whom})"),
        }
    }
}

/// What says of a node that the model is quantized.
pub(super) const QUANTIZED: &str = "the model is quantized dynamically: its scales are found while it runs, which costs more than integers save";

/// Groups of problems that are listed.
const MAX_LINES: usize = 24;
/// Nodes of a group that are named.
const MAX_NAMES: usize = 3;
/// Characters of a name that are shown.
const MAX_NAME: usize = 120;
/// Characters of what was found that are kept: more than any message has whose file is not hostile.
const MAX_TEXT: usize = 1000;

/// Names in hostile files may have megabytes, or control a terminal.
fn short(name: &str) -> String {
    first(name, MAX_NAME)
}

/// The first characters of a text, in one line.
fn first(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", printable::line(&text[..end])),
        None => printable::line(text).to_string(),
    }
}

/// All problems, one line a cause.
pub(in crate::import) fn list(problems: &[Problem], one: &str, many: &str) -> String {
    let mut text = match problems.len() {
        1 => format!("1 {one} cannot be imported:"),
        n => format!("{n} {many} cannot be imported:"),
    };
    let mut groups: Vec<Vec<&Problem>> = Vec::new();
    for problem in problems {
        match groups.iter_mut().find(|group| group[0].has_cause_of(problem)) {
            Some(group) => group.push(problem),
            None => groups.push(vec![problem]),
        }
    }
    for group in groups.iter().take(MAX_LINES) {
        text.push_str(&format!("\n  {}", line(group)));
    }
    match groups.len().saturating_sub(MAX_LINES) {
        0 => {}
        1 => text.push_str("\n  and 1 more cause"),
        n => text.push_str(&format!("\n  and {n} more causes")),
    }
    text
}

/// The line of problems that differ in their nodes, and perhaps in their operators.
fn line(group: &[&Problem]) -> String {
    let [first, _, ..] = group else { return group[0].to_string() };
    let mut operators: Vec<(&str, Vec<String>)> = Vec::new();
    for problem in group {
        let name = format!("'{}'", short(&problem.node));
        match operators.iter_mut().find(|(op, _)| *op == problem.op) {
            Some((_, names)) => names.push(name),
            None => operators.push((&problem.op, vec![name])),
        }
    }
    let nodes: Vec<String> = (operators.iter())
        .map(|(op, names)| {
            let more = if names.len() > MAX_NAMES { ", ..." } else { "" };
            let shown = names[..names.len().min(MAX_NAMES)].join(", ");
            format!("{} {} ({shown}{more})", names.len(), short(op))
        })
        .collect();
    let blocked = first.blocked("them");
    format!("{}: {}; {}{blocked}", nodes.join(", "), first.problem, first.hint)
}

/// Where a model comes from, which determines how it can be changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::import) enum Source {
    /// An ONNX file.
    File,
    /// A Burn module that was captured.
    Module,
    /// A TensorFlow Lite file.
    TfLite,
}

/// Why a node or tensor cannot be imported; the importer adds which one.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    /// What was found, and what was expected.
    pub problem: String,
    hint: Hint,
    /// Whether the batch may be in another place than was thought.
    across_batch: bool,
}

/// What can be done.
#[derive(Clone, Debug)]
enum Hint {
    Text(String),
    /// The file contradicts the ONNX standard.
    Invalid,
}

impl Refusal {
    /// A hint that begins with "export the model" holds for a Burn module's `forward` alike.
    pub(super) fn new(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { problem: problem.into(), hint: Hint::Text(hint.into()), across_batch: false }
    }

    /// A file that contradicts the ONNX standard.
    pub(super) fn invalid(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), hint: Hint::Invalid, across_batch: false }
    }

    /// The same of a node that does not keep the samples of a batch apart.
    pub(super) fn across_batch(self) -> Self {
        Self { across_batch: true, ..self }
    }

    /// Whether the node does not keep the samples of a batch apart.
    pub(super) fn is_across_batch(&self) -> bool {
        self.across_batch
    }

    pub(super) fn of(
        self,
        node: impl Into<String>,
        op: impl Into<String>,
        source: Source,
    ) -> Problem {
        let hint = match (self.hint, source) {
            (Hint::Text(hint), Source::File) => hint,
            (Hint::Text(hint), Source::TfLite) => match hint.strip_prefix("export the model") {
                Some(rest) => format!("convert the model{rest}"),
                None => hint,
            },
            (Hint::Text(hint), Source::Module) => match hint.strip_prefix("export the model") {
                Some(rest) => format!("write `forward`{rest}"),
                None => hint,
            },
            (Hint::Invalid, Source::File) => {
                "the file breaks the ONNX standard: check it with onnx.checker".into()
            }
            (Hint::Invalid, Source::TfLite) => {
                "the file contradicts itself: convert the model again".into()
            }
            (Hint::Invalid, Source::Module) => {
                "this is a fault of the capture: please report it with the module".into()
            }
        };
        // What was found may be as long as the file: an equation, a list, a name.
        let [problem, hint] = [self.problem, hint].map(|text| first(&text, MAX_TEXT));
        let (node, op) = (node.into(), op.into());
        Problem { node, op, problem, hint, blocks: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(node: &str, op: &str, problem: &str) -> Problem {
        let [node, op, problem] = [node, op, problem].map(String::from);
        Problem { node, op, problem, hint: "do something".into(), blocks: 0 }
    }

    #[test]
    fn causes_take_a_line_each_with_the_first_of_their_nodes() {
        let mut problems: Vec<Problem> =
            (0..5).map(|i| problem(&format!("g{i}"), "Gelu", "no")).collect();
        problems.push(problem("m", "Mish", "no"));
        problems.push(problem("q", "DynamicQuantizeLinear", QUANTIZED));
        problems.push(problem("d", "ConvInteger", QUANTIZED));
        let text = list(&problems, "node", "nodes");
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert_eq!(
            lines,
            [
                "8 nodes cannot be imported:",
                "5 Gelu ('g0', 'g1', 'g2', ...): no; do something",
                "'m' (Mish): no; do something",
                &format!(
                    "1 DynamicQuantizeLinear ('q'), 1 ConvInteger ('d'): {QUANTIZED}; do something"
                ),
            ]
        );
        assert!(list(&problems[5..6], "node", "nodes").starts_with("1 node cannot"));
    }

    #[test]
    fn a_list_ends_and_names_have_an_end() {
        let many: Vec<Problem> =
            (0..40).map(|i| problem(&"x".repeat(1000), "Gelu", &i.to_string())).collect();
        let text = list(&many, "node", "nodes");
        assert_eq!(text.lines().count(), MAX_LINES + 2);
        assert!(text.ends_with("and 16 more causes") && text.len() < 8000, "{}", text.len());
    }

    #[test]
    fn what_was_found_has_an_end_and_controls_no_terminal() {
        let long = Refusal::new("\u{1b}[2J".repeat(100_000), "é".repeat(100_000));
        let text = long.of("n", "Einsum", Source::File).to_string();
        assert!(text.len() < 20_000 && !text.contains('\u{1b}'), "{}", text.len());
    }

    #[test]
    fn hints_fit_where_the_model_comes_from() {
        let hint = |refusal: Refusal, source| refusal.of("n", "Op", source).hint;
        let export = || Refusal::new("no", "export the model with fewer axes");
        assert_eq!(hint(export(), Source::File), "export the model with fewer axes");
        assert_eq!(hint(export(), Source::Module), "write `forward` with fewer axes");
        assert!(hint(Refusal::invalid("no"), Source::File).contains("standard"));
        assert!(!hint(Refusal::invalid("no"), Source::Module).contains("ONNX"));
    }
}
