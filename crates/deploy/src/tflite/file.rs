//! What a `.tflite` file holds: graphs, tensors, operators, constants and the names of inputs and outputs.
//!
//! Everything but lists of tables is left where it stands in the file, so that reading takes memory for each
//! tensor and operator alone, whatever lengths the file claims.

use super::bytes::{Damage, Numbers, Table, Tables};
use super::names::operator_name;
use super::places;
use super::schema::{Builtin, Element, IDENTIFIER, LAST_OF_ONE_BYTE, VERSION};

/// The most tensors, operators, kinds of operators, buffers and texts that a file may have.
pub const MOST: usize = 1 << 14;

/// The most axes of a tensor.
pub const MOST_AXES: usize = 8;

/// The most elements of a tensor, without its extents of 0.
const MOST_ELEMENTS: usize = 1 << 40;

/// The most inputs, and the most outputs, of an operator.
pub const MOST_OPERANDS: usize = 128;

/// The most graphs of a file, and the most signatures.
const MOST_GRAPHS: usize = 64;

/// A `.tflite` file.
#[derive(Clone, Copy, Debug)]
pub struct TfliteFile<'a> {
    bytes: &'a [u8],
    model: Table<'a>,
    buffers: Tables<'a>,
}

/// Why bytes are not a `.tflite` file that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRead {
    /// They do not begin as such a file does; the first eight of them.
    Unmarked(Vec<u8>),
    /// The file follows another version of the schema.
    Version(i32),
    /// Something in it is not as the format has it.
    Damaged(Damage),
}

impl From<Damage> for NotRead {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

/// A graph: what a call of the model, or of another graph, computes.
#[derive(Clone, Debug)]
pub struct Graph<'a> {
    /// The name, which may be empty.
    pub name: &'a str,
    /// The tensors.
    pub tensors: Vec<Tensor<'a>>,
    /// The operators in the order of execution.
    pub operators: Vec<Operator<'a>>,
    /// The tensors that the caller fills.
    pub inputs: Vec<usize>,
    /// The tensors that the caller reads.
    pub outputs: Vec<usize>,
}

/// A tensor.
#[derive(Clone, Debug)]
pub struct Tensor<'a> {
    /// The name, which may be empty.
    pub name: &'a str,
    /// The extents of all axes, with that of the batch; no axis for a single element.
    pub shape: Vec<usize>,
    /// The type of its elements; `Err` with the code of one that is not known.
    pub element: Result<Element, u8>,
    /// One scale, or one for each index along the axis; none in tensors that are not quantized.
    pub scales: Numbers<'a, f32>,
    /// As many zero points.
    pub zero_points: Numbers<'a, i64>,
    /// The axis along which scales differ.
    pub axis: i32,
    /// The elements of a constant; empty in tensors that are computed.
    pub data: &'a [u8],
    /// Whether the elements are not those of the buffer alone: only some are stored, all are in another file, or
    /// they have scales in another form, such as for blocks.
    pub is_partial: bool,
}

impl Tensor<'_> {
    /// The number of elements, if it fits.
    pub fn elements(&self) -> Option<usize> {
        self.shape.iter().try_fold(1_usize, |product, &extent| product.checked_mul(extent))
    }

    /// Whether it is a constant.
    pub const fn is_constant(&self) -> bool {
        !self.data.is_empty()
    }

    /// The type of its elements, for messages.
    pub fn element_name(&self) -> String {
        match self.element {
            Ok(element) => element.name().to_owned(),
            Err(code) => format!("element type {code}"),
        }
    }
}

/// An operator.
#[derive(Clone, Debug)]
pub struct Operator<'a> {
    /// The code.
    pub code: i32,
    /// The name of a custom operator, otherwise empty.
    pub custom: &'a str,
    /// The version.
    pub version: i32,
    /// The options, if it has any.
    pub options: Option<Table<'a>>,
    /// The tensors that it reads, `None` where an optional one is missing.
    pub inputs: Vec<Option<usize>>,
    /// The tensors that it writes.
    pub outputs: Vec<usize>,
}

impl Operator<'_> {
    /// The name of its kind, as the schema spells it.
    pub fn name(&self) -> String {
        match self.custom {
            "" => operator_name(self.code),
            custom => format!("custom operator \"{}\"", crate::printable::name(custom)),
        }
    }

    /// Its kind, if exports or imports have it.
    pub(crate) fn builtin(&self) -> Option<Builtin> {
        Builtin::of_code(self.code)
    }
}

/// The names of the inputs and outputs of the first graph, where a signature has them.
#[derive(Clone, Debug, Default)]
pub struct Names<'a> {
    /// Names and tensors of inputs.
    pub inputs: Vec<(&'a str, usize)>,
    /// Names and tensors of outputs.
    pub outputs: Vec<(&'a str, usize)>,
}

/// An index below `count`.
fn index(what: &'static str, found: i64, count: usize) -> Result<usize, Damage> {
    let index = usize::try_from(found).ok().filter(|&index| index < count);
    index.ok_or(Damage::Index { what, found, count })
}

impl<'a> TfliteFile<'a> {
    /// Looks at the head of a file.
    ///
    /// # Errors
    /// If it is not a file of version 3 of the schema.
    pub fn new(bytes: &'a [u8]) -> Result<Self, NotRead> {
        if bytes.get(4..8) != Some(&IDENTIFIER) {
            return Err(NotRead::Unmarked(bytes.iter().take(8).copied().collect()));
        }
        let model = Table::root(bytes)?;
        match model.int(places::model::VERSION)? {
            VERSION => {}
            version => return Err(NotRead::Version(version)),
        }
        let buffers = model.tables(places::model::BUFFERS)?;
        if buffers.len() > MOST {
            return Err(
                Damage::TooMany { what: "buffers", found: buffers.len(), most: MOST }.into()
            );
        }
        Ok(Self { bytes, model, buffers })
    }

    /// What the file says of itself.
    ///
    /// # Errors
    /// If it does not lie in the file, as for all that follows.
    pub fn description(&self) -> Result<&'a str, Damage> {
        self.model.text(places::model::DESCRIPTION)
    }

    /// The text of the metadata of a name, if there is one.
    pub fn metadata(&self, name: &str) -> Result<Option<&'a str>, Damage> {
        for table in self.model.tables(places::model::METADATA)?.all("metadata", MOST)? {
            if table.text(places::metadata::NAME)? == name {
                let data = self.buffer(i64::from(table.int(places::metadata::BUFFER)?))?;
                return Ok(std::str::from_utf8(data).ok());
            }
        }
        Ok(None)
    }

    /// The bytes of a buffer.
    fn buffer(&self, number: i64) -> Result<&'a [u8], Damage> {
        let number = index("a buffer", number, self.buffers.len())?;
        let Some(buffer) = self.buffers.get(number)? else { return Ok(&[]) };
        let data = buffer.data(places::buffer::DATA)?;
        let (offset, size) =
            (buffer.long(places::buffer::OFFSET)?, buffer.long(places::buffer::SIZE)?);
        // Small offsets say that there is none.
        if !data.is_empty() || offset <= 1 {
            return Ok(data);
        }
        let end = offset.checked_add(size).and_then(|end| usize::try_from(end).ok());
        let part = end.and_then(|end| self.bytes.get(offset as usize..end));
        let what = "a buffer behind the tables";
        part.ok_or(Damage::Outside { what, at: offset, len: self.bytes.len() })
    }

    /// The graph at `number`; the first is the model.
    pub fn graph(&self, number: usize) -> Result<Graph<'a>, Damage> {
        let graphs = self.model.tables(places::model::GRAPHS)?;
        index("a graph", number as i64, graphs.len().min(MOST_GRAPHS))?;
        let graph = graphs.get(number)?.ok_or(Damage::Missing { what: "graph" })?;
        let codes = self.model.tables(places::model::CODES)?.all("kinds of operators", MOST)?;
        let tensors = graph.tables(places::graph::TENSORS)?.all("tensors", MOST)?;
        let tensors: Vec<Tensor> =
            tensors.iter().map(|table| self.tensor(table)).collect::<Result<_, _>>()?;
        let operators = graph.tables(places::graph::OPERATORS)?.all("operators", MOST)?;
        let operator = |table| operator(table, &codes, tensors.len());
        let operators = operators.iter().map(operator).collect::<Result<_, _>>()?;
        let ends = |place: usize| -> Result<Vec<usize>, Damage> {
            let ends = list(graph.numbers(place)?, "inputs or outputs of a graph")?;
            ends.map(|end: i32| index("a tensor", i64::from(end), tensors.len())).collect()
        };
        let (inputs, outputs) = (ends(places::graph::INPUTS)?, ends(places::graph::OUTPUTS)?);
        Ok(Graph { name: graph.text(places::graph::NAME)?, tensors, operators, inputs, outputs })
    }

    fn tensor(&self, table: &Table<'a>) -> Result<Tensor<'a>, Damage> {
        let shape = table.numbers::<i32>(places::tensor::SHAPE)?;
        if shape.len() > MOST_AXES {
            let what = "axes of a tensor";
            return Err(Damage::TooMany { what, found: shape.len(), most: MOST_AXES });
        }
        let extent = |extent: i32| index("an extent", i64::from(extent), i32::MAX as usize);
        let shape = shape.iter().map(extent).collect::<Result<Vec<usize>, _>>()?;
        // No product of extents overflows, whichever are left out.
        let elements =
            shape.iter().fold(1_usize, |product, &extent| product.saturating_mul(extent.max(1)));
        if elements > MOST_ELEMENTS {
            let what = "elements of a tensor";
            return Err(Damage::TooMany { what, found: elements, most: MOST_ELEMENTS });
        }
        let code = table.byte(places::tensor::ELEMENT)?;
        let mut tensor = Tensor {
            name: table.text(places::tensor::NAME)?,
            shape,
            element: Element::of_code(code).ok_or(code),
            scales: Numbers::of(&[]),
            zero_points: Numbers::of(&[]),
            axis: 0,
            data: self.buffer(i64::from(table.int(places::tensor::BUFFER)? as u32))?,
            is_partial: table.has(places::tensor::SPARSITY)?
                || table.int(places::tensor::EXTERNAL_BUFFER)? != 0,
        };
        if let Some(quantization) = table.table(places::tensor::QUANTIZATION)? {
            tensor.scales = quantization.numbers(places::quantization::SCALES)?;
            tensor.zero_points = quantization.numbers(places::quantization::ZERO_POINTS)?;
            tensor.axis = quantization.int(places::quantization::AXIS)?;
            tensor.is_partial |= quantization.has(places::quantization::DETAILS)?;
        }
        Ok(tensor)
    }

    /// The names that the signature of the first graph gives; none if there is no signature.
    pub fn names(&self) -> Result<Names<'a>, Damage> {
        let signatures = self.model.tables(places::model::SIGNATURES)?;
        for signature in signatures.all("signatures", MOST_GRAPHS)? {
            if signature.int(places::signature::GRAPH)? != 0 {
                continue;
            }
            let ends = |place: usize| -> Result<Vec<(&'a str, usize)>, Damage> {
                let ends = signature.tables(place)?.all("names of a signature", MOST_OPERANDS)?;
                let end = |end: &Table<'a>| {
                    let tensor = end.int(places::end::TENSOR)? as u32;
                    Ok((end.text(places::end::NAME)?, tensor as usize))
                };
                ends.iter().map(end).collect()
            };
            let inputs = ends(places::signature::INPUTS)?;
            return Ok(Names { inputs, outputs: ends(places::signature::OUTPUTS)? });
        }
        Ok(Names::default())
    }
}

/// At most [`MOST_OPERANDS`] numbers.
fn list<'a>(
    numbers: Numbers<'a, i32>,
    what: &'static str,
) -> Result<impl ExactSizeIterator<Item = i32> + 'a, Damage> {
    match numbers.len() {
        found if found > MOST_OPERANDS => Err(Damage::TooMany { what, found, most: MOST_OPERANDS }),
        _ => Ok(numbers.iter()),
    }
}

fn operator<'a>(
    table: &Table<'a>,
    codes: &[Table<'a>],
    tensors: usize,
) -> Result<Operator<'a>, Damage> {
    let code = i64::from(table.int(places::operator::CODE)? as u32);
    let code = codes[index("a kind of operator", code, codes.len())?];
    // Older files have the code in one byte alone.
    let old = i32::from(code.byte(places::code::OLD)?.min(LAST_OF_ONE_BYTE as u8));
    let tensor = |number: i32| index("a tensor", i64::from(number), tensors);
    let inputs = list(table.numbers(places::operator::INPUTS)?, "inputs of an operator")?;
    let input = |number: i32| (number != -1).then(|| tensor(number)).transpose();
    let outputs = list(table.numbers(places::operator::OUTPUTS)?, "outputs of an operator")?;
    Ok(Operator {
        code: code.int(places::code::BUILTIN)?.max(old),
        custom: code.text(places::code::CUSTOM)?,
        // A version that is not there is 1.
        version: code.int(places::code::VERSION)?.max(1),
        options: table.table(places::operator::OPTIONS)?,
        inputs: inputs.map(input).collect::<Result<_, _>>()?,
        outputs: outputs.map(tensor).collect::<Result<_, _>>()?,
    })
}
