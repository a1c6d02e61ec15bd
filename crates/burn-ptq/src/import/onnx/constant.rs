//! Constants: initializers, and the operations on constants that fold.

use onnx_ir::TensorProto;

use super::attributes::NodeView;

/// Stands for the batch in constants made from shapes.
pub(super) const BATCH: i64 = i64::MAX;

/// No constant of a microcontroller's network has more elements.
const MAX_ELEMENTS: usize = 1 << 26;

/// A constant tensor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Constant {
    pub(super) dims: Vec<usize>,
    pub(super) data: Data,
}

/// Elements, widened to one type each for floats and integers.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    Float(Vec<f32>),
    Int(Vec<i64>),
}

impl Data {
    fn len(&self) -> usize {
        match self {
            Data::Float(data) => data.len(),
            Data::Int(data) => data.len(),
        }
    }

    /// The elements at `places`, in that order.
    fn pick(&self, places: impl Iterator<Item = usize>) -> Data {
        match self {
            Data::Float(data) => Data::Float(places.map(|i| data[i]).collect()),
            Data::Int(data) => Data::Int(places.map(|i| data[i]).collect()),
        }
    }
}

impl Constant {
    pub(super) fn ints(values: Vec<i64>) -> Self {
        Self { dims: vec![values.len()], data: Data::Int(values) }
    }

    /// The elements as floats.
    pub(super) fn floats(&self) -> Result<Vec<f32>, String> {
        match &self.data {
            Data::Float(data) => Ok(data.clone()),
            Data::Int(_) => Err("expected a constant of floats, found integers".into()),
        }
    }

    /// The elements as integers.
    pub(super) fn integers(&self) -> Result<&[i64], String> {
        match &self.data {
            Data::Int(data) => Ok(data),
            Data::Float(_) => Err("expected a constant of integers, found floats".into()),
        }
    }

    /// The only element, as a float.
    pub(super) fn scalar(&self) -> Result<f32, String> {
        match (&self.data, self.data.len()) {
            (Data::Float(data), 1) => Ok(data[0]),
            (Data::Int(data), 1) => Ok(data[0] as f32),
            _ => {
                Err(format!("expected a single element, found a constant of shape {:?}", self.dims))
            }
        }
    }

    /// Reads an initializer or attribute.
    pub(super) fn from_proto(proto: &TensorProto) -> Result<Self, String> {
        if proto.data_location.value() == 1 || !proto.external_data.is_empty() {
            return Err("its data lies in another file: save the model as one file \
                        (onnx.save without save_as_external_data)"
                .into());
        }
        let dims = proto
            .dims
            .iter()
            .map(|&d| usize::try_from(d).map_err(|_| format!("dimension {d} is negative")))
            .collect::<Result<Vec<_>, _>>()?;
        let expected = dims
            .iter()
            .try_fold(1_usize, |n, &d| n.checked_mul(d))
            .filter(|&n| n <= MAX_ELEMENTS)
            .ok_or_else(|| format!("shape {dims:?} is too large"))?;
        let raw = &proto.raw_data;
        macro_rules! raw {
            ($t:ty) => {
                raw.chunks_exact(size_of::<$t>()).map(|b| {
                    <$t>::from_le_bytes(b.try_into().expect("chunks have the type's size"))
                })
            };
        }
        let has_raw = !raw.is_empty();
        let half = |bits: u16| half::f16::from_bits(bits).to_f32();
        let brain = |bits: u16| half::bf16::from_bits(bits).to_f32();
        let words = proto.int32_data.iter();
        let data = match proto.data_type {
            1 if has_raw => Data::Float(raw!(f32).collect()),
            1 => Data::Float(proto.float_data.clone()),
            11 if has_raw => Data::Float(raw!(f64).map(|x| x as f32).collect()),
            11 => Data::Float(proto.double_data.iter().map(|&x| x as f32).collect()),
            10 if has_raw => Data::Float(raw!(u16).map(half).collect()),
            10 => Data::Float(words.map(|&w| half(w as u16)).collect()),
            16 if has_raw => Data::Float(raw!(u16).map(brain).collect()),
            16 => Data::Float(words.map(|&w| brain(w as u16)).collect()),
            7 if has_raw => Data::Int(raw!(i64).collect()),
            7 => Data::Int(proto.int64_data.clone()),
            6 if has_raw => Data::Int(raw!(i32).map(i64::from).collect()),
            5 if has_raw => Data::Int(raw!(i16).map(i64::from).collect()),
            4 if has_raw => Data::Int(raw!(u16).map(i64::from).collect()),
            3 if has_raw => Data::Int(raw!(i8).map(i64::from).collect()),
            2 | 9 if has_raw => Data::Int(raw!(u8).map(i64::from).collect()),
            2..=6 | 9 => Data::Int(words.map(|&w| i64::from(w)).collect()),
            other => return Err(format!("elements of ONNX data type {other} are not supported")),
        };
        if data.len() != expected {
            return Err(format!(
                "shape {dims:?} needs {expected} elements, but the file holds {}",
                data.len()
            ));
        }
        Ok(Self { dims, data })
    }

    /// The constant with its axes permuted.
    pub(super) fn transposed(&self, perm: &[usize]) -> Result<Self, String> {
        let mut sorted = perm.to_vec();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..self.dims.len()) {
            return Err(format!("{perm:?} does not permute {} axes", self.dims.len()));
        }
        let mut strides = vec![1; self.dims.len()];
        for axis in (1..self.dims.len()).rev() {
            strides[axis - 1] = strides[axis] * self.dims[axis];
        }
        let dims: Vec<usize> = perm.iter().map(|&p| self.dims[p]).collect();
        let strides: Vec<usize> = perm.iter().map(|&p| strides[p]).collect();
        let mut index = vec![0; dims.len()];
        let mut place = 0;
        let places = (0..self.data.len()).map(|_| {
            let current = place;
            for axis in (0..dims.len()).rev() {
                index[axis] += 1;
                place += strides[axis];
                if index[axis] < dims[axis] {
                    break;
                }
                place -= strides[axis] * dims[axis];
                index[axis] = 0;
            }
            current
        });
        let data = self.data.pick(places);
        Ok(Self { dims, data })
    }

    fn reshaped(&self, dims: Vec<usize>) -> Result<Self, String> {
        if dims.iter().try_fold(1_usize, |n, &d| n.checked_mul(d)) != Some(self.data.len()) {
            return Err(format!("cannot reshape a constant of {:?} to {dims:?}", self.dims));
        }
        Ok(Self { dims, data: self.data.clone() })
    }
}

/// Folds a node all of whose inputs are constants. `None` if the operation is not among those that
/// fold.
pub(super) fn fold(node: &NodeView, inputs: &[&Constant]) -> Option<Result<Constant, String>> {
    let first = *inputs.first()?;
    Some(match node.proto.op_type.as_str() {
        "Identity" | "Dropout" => Ok(first.clone()),
        "Cast" => cast(node, first),
        "Shape" => Ok(Constant::ints(first.dims.iter().map(|&d| d as i64).collect())),
        "Transpose" => transpose(node, first),
        "Reshape" => reshape(first, inputs.get(1).copied()),
        "Unsqueeze" => unsqueeze(node, first, inputs.get(1).copied()),
        "Squeeze" => squeeze(node, first, inputs.get(1).copied()),
        "Concat" => concat(node, inputs),
        "Gather" => gather(node, first, inputs.get(1).copied()),
        "Slice" => slice(node, inputs),
        "Add" | "Sub" | "Mul" | "Div" => arithmetic(node, inputs),
        "Neg" | "Sqrt" | "Floor" | "Ceil" => unary(node, first),
        "ConstantOfShape" => constant_of_shape(node, first),
        "ReduceProd" => reduce_prod(first),
        _ => return None,
    })
}

fn cast(node: &NodeView, input: &Constant) -> Result<Constant, String> {
    let data = match (&input.data, node.int("to", 1)?) {
        (Data::Int(data), 1 | 10 | 11 | 16) => {
            if data.contains(&BATCH) {
                return Err("the batch size is used as a number".into());
            }
            Data::Float(data.iter().map(|&x| x as f32).collect())
        }
        (Data::Float(data), 2..=7 | 12 | 13) => Data::Int(data.iter().map(|&x| x as i64).collect()),
        (data, 1..=7 | 9..=13 | 16) => data.clone(),
        (_, other) => return Err(format!("cannot cast a constant to ONNX data type {other}")),
    };
    Ok(Constant { dims: input.dims.clone(), data })
}

fn transpose(node: &NodeView, input: &Constant) -> Result<Constant, String> {
    let rank = input.dims.len();
    let perm: Vec<usize> = match node.ints("perm")? {
        None => (0..rank).rev().collect(),
        Some(perm) => perm.iter().map(|&p| usize::try_from(p).unwrap_or(usize::MAX)).collect(),
    };
    input.transposed(&perm)
}

fn reshape(input: &Constant, shape: Option<&Constant>) -> Result<Constant, String> {
    let shape = shape.ok_or("the shape is missing")?.integers()?;
    let mut dims = Vec::with_capacity(shape.len());
    let mut inferred = None;
    for (axis, &d) in shape.iter().enumerate() {
        dims.push(match d {
            -1 if inferred.is_none() => {
                inferred = Some(axis);
                1
            }
            0 => {
                *input.dims.get(axis).ok_or("a 0 in the shape copies an axis that is not there")?
            }
            BATCH => return Err("a constant cannot take the batch size".into()),
            d => usize::try_from(d).map_err(|_| format!("dimension {d} is negative"))?,
        });
    }
    if let Some(axis) = inferred {
        let known = dims.iter().try_fold(1_usize, |n, &d| n.checked_mul(d)).unwrap_or(0);
        dims[axis] = input.data.len().checked_div(known).unwrap_or(0);
    }
    input.reshaped(dims)
}

/// The axes of Squeeze and Unsqueeze: an attribute before opset 13, an input since.
pub(super) fn axes_of(
    node: &NodeView,
    input: Option<&Constant>,
) -> Result<Option<Vec<i64>>, String> {
    match input {
        Some(axes) => Ok(Some(axes.integers()?.to_vec())),
        None => node.ints("axes"),
    }
}

fn positive(axis: i64, rank: usize) -> Result<usize, String> {
    let positive = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    let found = usize::try_from(positive).ok().filter(|&a| a < rank);
    found.ok_or_else(|| format!("axis {axis} is out of range for {rank} axes"))
}

fn unsqueeze(
    node: &NodeView,
    input: &Constant,
    axes: Option<&Constant>,
) -> Result<Constant, String> {
    let axes = axes_of(node, axes)?.ok_or("the axes are missing")?;
    let rank = input.dims.len() + axes.len();
    let mut inserted = vec![false; rank];
    for axis in axes {
        inserted[positive(axis, rank)?] = true;
    }
    let mut old = input.dims.iter();
    let dims = inserted.iter().map(|&new| if new { 1 } else { *old.next().unwrap_or(&1) });
    input.reshaped(dims.collect())
}

fn squeeze(node: &NodeView, input: &Constant, axes: Option<&Constant>) -> Result<Constant, String> {
    let rank = input.dims.len();
    let removed = match axes_of(node, axes)? {
        None => input.dims.iter().map(|&d| d == 1).collect(),
        Some(axes) => {
            let mut removed = vec![false; rank];
            for axis in axes {
                removed[positive(axis, rank)?] = true;
            }
            removed
        }
    };
    let kept = input.dims.iter().zip(removed).filter(|(_, removed)| !removed);
    input.reshaped(kept.map(|(&d, _)| d).collect())
}

fn concat(node: &NodeView, inputs: &[&Constant]) -> Result<Constant, String> {
    let rank = inputs[0].dims.len();
    let axis = positive(node.int("axis", 0)?, rank)?;
    let mut dims = inputs[0].dims.clone();
    dims[axis] = 0;
    for input in inputs {
        let fits = input.dims.len() == rank
            && (0..rank).all(|a| a == axis || input.dims[a] == inputs[0].dims[a]);
        if !fits {
            return Err("constants of different shapes cannot be joined".into());
        }
        dims[axis] += input.dims[axis];
    }
    let outer: usize = dims[..axis].iter().product();
    let mut floats = Vec::new();
    let mut ints = Vec::new();
    for step in 0..outer {
        for input in inputs {
            let chunk = input.data.len() / outer.max(1);
            match &input.data {
                Data::Float(data) => floats.extend(&data[step * chunk..(step + 1) * chunk]),
                Data::Int(data) => ints.extend(&data[step * chunk..(step + 1) * chunk]),
            }
        }
    }
    let data = match (floats.is_empty(), ints.is_empty()) {
        (true, _) => Data::Int(ints),
        (_, true) => Data::Float(floats),
        _ => return Err("floats and integers cannot be joined".into()),
    };
    Ok(Constant { dims, data })
}

fn gather(
    node: &NodeView,
    input: &Constant,
    indices: Option<&Constant>,
) -> Result<Constant, String> {
    let indices = indices.ok_or("the indices are missing")?;
    if input.dims.len() != 1 || node.int("axis", 0)? != 0 {
        return Err("only elements of one-dimensional constants can be gathered".into());
    }
    let places = indices
        .integers()?
        .iter()
        .map(|&i| positive(i, input.dims[0]))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Constant { dims: indices.dims.clone(), data: input.data.pick(places.into_iter()) })
}

fn slice(node: &NodeView, inputs: &[&Constant]) -> Result<Constant, String> {
    let input = inputs[0];
    let list = |index: usize, name: &str| -> Result<Option<Vec<i64>>, String> {
        match inputs.get(index) {
            Some(constant) => Ok(Some(constant.integers()?.to_vec())),
            None => node.ints(name),
        }
    };
    let starts = list(1, "starts")?.ok_or("the starts are missing")?;
    let ends = list(2, "ends")?.ok_or("the ends are missing")?;
    let axes = list(3, "axes")?.unwrap_or_else(|| vec![0]);
    let steps = list(4, "steps")?.unwrap_or_else(|| vec![1]);
    let simple = input.dims.len() == 1 && starts.len() == 1 && ends.len() == 1;
    if !simple || !matches!(axes[..], [0 | -1]) || steps != [1] {
        return Err("only one-dimensional constants can be sliced, in steps of 1".into());
    }
    let len = input.dims[0] as i64;
    let bound = |x: i64| (if x < 0 { x.saturating_add(len) } else { x }).clamp(0, len) as usize;
    let (start, end) = (bound(starts[0]), bound(ends[0]));
    let places = start..end.max(start);
    Ok(Constant { dims: vec![places.len()], data: input.data.pick(places) })
}

fn arithmetic(node: &NodeView, inputs: &[&Constant]) -> Result<Constant, String> {
    let [a, b] = inputs else { return Err("expected two operands".into()) };
    let (len_a, len_b) = (a.data.len(), b.data.len());
    let dims = if len_b == 1 { &a.dims } else { &b.dims };
    if len_a != 1 && len_b != 1 && a.dims != b.dims {
        return Err("constants of different shapes cannot be combined".into());
    }
    let pairs = (0..len_a.max(len_b)).map(|i| (i.min(len_a - 1), i.min(len_b - 1)));
    let op = node.proto.op_type.as_str();
    if len_a == 0 || len_b == 0 {
        return Err("constants without elements cannot be combined".into());
    }
    let data = match (&a.data, &b.data) {
        (Data::Float(a), Data::Float(b)) => Data::Float(
            pairs
                .map(|(i, j)| match op {
                    "Add" => a[i] + b[j],
                    "Sub" => a[i] - b[j],
                    "Mul" => a[i] * b[j],
                    _ => a[i] / b[j],
                })
                .collect(),
        ),
        (Data::Int(a), Data::Int(b)) => {
            let result = |(i, j): (usize, usize)| {
                let (x, y): (i64, i64) = (a[i], b[j]);
                if x == BATCH || y == BATCH {
                    return Err("the batch size is used in arithmetic".to_string());
                }
                let result = match op {
                    "Add" => x.checked_add(y),
                    "Sub" => x.checked_sub(y),
                    "Mul" => x.checked_mul(y),
                    _ => x.checked_div(y),
                };
                result.ok_or_else(|| "the arithmetic on constants overflows".to_string())
            };
            Data::Int(pairs.map(result).collect::<Result<_, _>>()?)
        }
        _ => return Err("floats and integers cannot be combined".into()),
    };
    Ok(Constant { dims: dims.clone(), data })
}

fn unary(node: &NodeView, input: &Constant) -> Result<Constant, String> {
    let f = match node.proto.op_type.as_str() {
        "Neg" => |x: f32| -x,
        "Sqrt" => f32::sqrt,
        "Floor" => f32::floor,
        _ => f32::ceil,
    };
    let data = Data::Float(input.floats()?.into_iter().map(f).collect());
    Ok(Constant { dims: input.dims.clone(), data })
}

fn constant_of_shape(node: &NodeView, shape: &Constant) -> Result<Constant, String> {
    let dims = shape
        .integers()?
        .iter()
        .map(|&d| usize::try_from(d).map_err(|_| format!("dimension {d} is negative")))
        .collect::<Result<Vec<_>, _>>()?;
    let len = dims.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
    let len = len.filter(|&n| n <= 1 << 20).ok_or("the constant is too large")?;
    let value = node.proto.attribute.iter().find(|a| a.name == "value").and_then(|a| a.t.as_ref());
    let data = match value.map(Constant::from_proto).transpose()?.map(|c| c.data) {
        None => Data::Float(vec![0.0; len]),
        Some(Data::Float(x)) if x.len() == 1 => Data::Float(vec![x[0]; len]),
        Some(Data::Int(x)) if x.len() == 1 => Data::Int(vec![x[0]; len]),
        Some(_) => return Err("the value must be a single element".into()),
    };
    Ok(Constant { dims, data })
}

fn reduce_prod(input: &Constant) -> Result<Constant, String> {
    let values = input.integers()?;
    if values.contains(&BATCH) {
        return Err("the batch size is used in arithmetic".into());
    }
    let product = values.iter().try_fold(1_i64, |n, &d| n.checked_mul(d));
    Ok(Constant::ints(vec![product.ok_or("the product of a shape overflows")?]))
}

/// The value of a Constant node.
pub(super) fn constant_node(node: &NodeView) -> Result<Constant, String> {
    let attribute = node.proto.attribute.first().ok_or("the constant has no value")?;
    let scalar = |data| Constant { dims: Vec::new(), data };
    match attribute.name.as_str() {
        "value" => {
            let tensor = attribute.t.as_ref().ok_or("the constant has no value")?;
            Constant::from_proto(tensor)
        }
        "value_float" => Ok(scalar(Data::Float(vec![attribute.f]))),
        "value_int" => Ok(scalar(Data::Int(vec![attribute.i]))),
        "value_floats" => Ok(Constant {
            dims: vec![attribute.floats.len()],
            data: Data::Float(attribute.floats.clone()),
        }),
        "value_ints" => Ok(Constant::ints(attribute.ints.clone())),
        other => Err(format!("a constant given as {other} is not supported")),
    }
}
