//! How raw data become a model's input: what is configured, and what follows from the model.

use std::collections::BTreeMap;

use burn_ptq::Warning;
use burn_ptq::graph::{Graph, Op, ValueId};
use burn_ptq_deploy::preprocess::{DataLayout, Element, Preprocessing, PreprocessingError};
use burn_ptq_deploy::program::Program;
use serde::{Deserialize, Serialize};

/// The order of the axes of raw samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Channels first: `[channels, height, width]`, or `[channels, time]`.
    Nchw,
    /// Channels last: `[height, width, channels]`, or `[time, channels]`.
    Nhwc,
}

/// What a task or flags say about raw samples; what they leave out follows from the model.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct InputSettings {
    /// Multiplies raw elements.
    pub scale: Option<f32>,
    /// The mean of scaled elements, for all channels or for each.
    pub mean: Option<Vec<f32>>,
    /// The standard deviation of scaled elements, for all channels or for each.
    pub std: Option<Vec<f32>>,
    /// The order of the axes; the model's if left out.
    pub layout: Option<Layout>,
    /// For recordings: consecutive frames that make one input.
    pub window_frames: Option<usize>,
    /// Frames from the beginning of one window to that of the next; 1 if left out.
    pub window_step: Option<usize>,
    /// The names of the classes, in the order of the output's elements.
    pub classes: Vec<String>,
    /// For models with several inputs, by name.
    pub inputs: BTreeMap<String, NamedInput>,
}

/// What a task or flags say about the raw samples of one of several inputs.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct NamedInput {
    /// Multiplies raw elements.
    pub scale: Option<f32>,
    /// The mean of scaled elements, for all channels or for each.
    pub mean: Option<Vec<f32>>,
    /// The standard deviation of scaled elements, for all channels or for each.
    pub std: Option<Vec<f32>>,
    /// The order of the axes; the model's if left out.
    pub layout: Option<Layout>,
}

/// Settings of inputs that do not fit a model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The settings of an input do not fit it.
    #[error("{}{source}", if name.is_empty() { String::new() } else { format!("input '{name}': ") })]
    Preprocessing {
        /// The input, if there are several.
        name: String,
        /// What is wrong.
        source: PreprocessingError,
    },
    /// No input has the name.
    #[error("settings for the input '{found}', but the model's inputs are {known:?}")]
    Unknown {
        /// The name.
        found: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// An input of whole numbers would be scaled.
    #[error(
        "the input '{name}' takes whole numbers, which are not scaled outside of the model: leave out its \
         input scale, mean and std"
    )]
    Whole {
        /// The input.
        name: String,
    },
    /// Settings of no particular input, of which there are several.
    #[error(
        "the model has {} inputs, {known:?}: say which one is scaled, with --input-scale NAME=F (and the like \
         for --input-mean, --input-std) or [inputs.NAME] in task.toml",
        known.len()
    )]
    Several {
        /// The names that there are.
        known: Vec<String>,
    },
}

/// A model's input, and how raw samples become it.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInput {
    /// Its name.
    pub name: String,
    /// The shape of one sample.
    pub shape: Vec<usize>,
    /// What is done to raw samples.
    pub preprocessing: Preprocessing,
    /// Frames from the beginning of one window to that of the next.
    pub window_step: usize,
    /// The names of the classes, if known; otherwise empty.
    pub classes: Vec<String>,
    /// The column of tables that holds labels, if it was named.
    pub label_column: Option<String>,
    /// Whether it takes whole numbers alone: fractions of samples are dropped.
    pub whole: bool,
    /// Whether the network keeps states, so that its samples are sequences of such inputs.
    pub in_sequence: bool,
    /// An output that this input may become in the next step, by its shape, for messages.
    pub maybe_state: Option<String>,
}

impl ModelInput {
    /// An input of this shape that takes samples as they are.
    pub fn new(name: &str, shape: &[usize]) -> Self {
        Self {
            name: name.into(),
            shape: shape.into(),
            preprocessing: Preprocessing::default(),
            window_step: 1,
            classes: Vec::new(),
            label_column: None,
            whole: false,
            in_sequence: false,
            maybe_state: None,
        }
    }

    /// The input of a float network with one.
    ///
    /// # Errors
    /// If the settings do not fit it, or there are several.
    pub fn of_graph(graph: &Graph, settings: &InputSettings) -> Result<Self, InputError> {
        let mut inputs = Self::all_of_graph(graph, settings)?;
        if inputs.len() > 1 {
            return Err(InputError::Several { known: names(&inputs) });
        }
        Ok(inputs.remove(0))
    }

    /// The inputs of a float network beside its states.
    ///
    /// # Errors
    /// If the settings do not fit them.
    pub fn all_of_graph(graph: &Graph, settings: &InputSettings) -> Result<Vec<Self>, InputError> {
        let input = |(place, &id): (usize, &ValueId)| {
            let value = graph.value(id);
            let mut input = Self::new(&value.name, &value.shape);
            input.preprocessing.channel_axis = channel_axis_of(graph, id).unwrap_or(0);
            input.whole = graph.integers.get(place).copied().flatten().is_some();
            input.in_sequence = !graph.states.is_empty();
            let alike =
                graph.read_outputs().into_iter().map(|place| graph.value(graph.outputs[place]));
            let mut alike = alike.filter(|output| output.shape == value.shape);
            input.maybe_state = alike.next().map(|output| output.name.clone());
            input
        };
        let fed = graph.fed_inputs().into_iter().map(|place| (place, &graph.inputs[place]));
        let mut inputs: Vec<Self> = fed.map(input).collect();
        apply_to_all(&mut inputs, settings)?;
        Ok(inputs)
    }

    /// The inputs of an integer program, which records how raw samples become them, and the classes of
    /// its output `output`; settings that say something else win, with a warning each.
    ///
    /// # Errors
    /// If the settings do not fit them.
    pub fn all_of_program(
        program: &Program,
        output: usize,
        settings: &InputSettings,
    ) -> Result<(Vec<Self>, Vec<Warning>), InputError> {
        let input = |input: &burn_ptq_deploy::program::Input| {
            let mut own = Self::new(&input.name, &input.border.source_shape);
            own.preprocessing = input.preprocessing.clone();
            own.in_sequence = !program.states.is_empty();
            own.whole = program.input_tensor(input).grid.scale == 1.0
                && input.preprocessing.element != Element::F32;
            own
        };
        let mut inputs: Vec<Self> = program.inputs.iter().map(input).collect();
        if let Some(output) = program.outputs.get(output) {
            inputs.iter_mut().for_each(|input| input.classes.clone_from(&output.classes));
        }
        let recorded = inputs.clone();
        apply_to_all(&mut inputs, settings)?;
        let several = inputs.len() > 1;
        let pairs = recorded.iter().zip(&inputs);
        let warnings = pairs.flat_map(|(was, is)| is.overrides(was, several)).collect();
        Ok((inputs, warnings))
    }

    /// The input as the steps of sequences are stored: an axis of `steps` before those of a step.
    #[must_use]
    pub fn in_sequences(&self, steps: usize) -> Self {
        let mut input = self.clone();
        input.shape.insert(0, steps);
        input.preprocessing.channel_axis += 1;
        input
    }

    /// Warnings of settings that differ from those that a program records.
    fn overrides(&self, recorded: &Self, several: bool) -> Vec<Warning> {
        let was = &recorded.preprocessing;
        let of = if several { format!(" of the input '{}'", self.name) } else { String::new() };
        let unrecorded = Preprocessing { channel_axis: was.channel_axis, ..Default::default() };
        // A program that was made of tensors records nothing.
        if *was == (Preprocessing { element: was.element, ..unrecorded }) {
            return Vec::new();
        }
        let warning = |(what, is, was): (&str, String, String)| {
            Warning::new(
                "preprocessing-overridden",
                format!("{what}{of} is {is}, but the model was calibrated with {was}"),
                "leave the setting out unless the data are stored in another way",
            )
        };
        self.differences(recorded).into_iter().map(warning).collect()
    }

    /// What is done to raw samples here in another way than for `other`: what it is, here and there.
    pub(crate) fn differences(&self, other: &Self) -> Vec<(&'static str, String, String)> {
        let frames = |frames: Option<usize>| frames.map_or("none".into(), |n| n.to_string());
        let texts =
            |Preprocessing { scale, mean, std, layout, window_frames, .. }: &Preprocessing| {
                [
                    ("the input scale", scale.to_string()),
                    ("the input mean", list(mean)),
                    ("the input std", list(std)),
                    ("the layout", layout_name(*layout)),
                    ("the window", frames(*window_frames)),
                ]
            };
        let pairs = texts(&self.preprocessing).into_iter().zip(texts(&other.preprocessing));
        let differing = pairs.filter(|((_, own), (_, others))| own != others);
        differing.map(|((what, own), (_, others))| (what, own, others)).collect()
    }

    /// Overrides what settings say.
    fn apply(&mut self, settings: &InputSettings) -> Result<(), PreprocessingError> {
        let (preprocessing, rank) = (&mut self.preprocessing, self.shape.len());
        if let Some(scale) = settings.scale {
            preprocessing.scale = scale;
        }
        if let Some(mean) = &settings.mean {
            preprocessing.mean.clone_from(mean);
        }
        if let Some(std) = &settings.std {
            preprocessing.std.clone_from(std);
        }
        let model_is_last = rank > 1 && preprocessing.channel_axis == rank - 1;
        match settings.layout {
            None => {}
            Some(Layout::Nhwc) if rank > 1 && !model_is_last => {
                preprocessing.layout = DataLayout::ChannelsLast;
            }
            Some(Layout::Nchw) if model_is_last => {
                preprocessing.layout = DataLayout::ChannelsFirst;
            }
            Some(_) => preprocessing.layout = DataLayout::Model,
        }
        if settings.window_frames.is_some() {
            preprocessing.window_frames = settings.window_frames;
        }
        self.window_step = settings.window_step.unwrap_or(self.window_step);
        if self.window_step == 0 {
            return Err(PreprocessingError::Window);
        }
        if !settings.classes.is_empty() {
            self.classes.clone_from(&settings.classes);
        }
        self.preprocessing.check(&self.shape)
    }
}

/// Overrides what settings say of all inputs, or of the only one.
fn apply_to_all(inputs: &mut [ModelInput], settings: &InputSettings) -> Result<(), InputError> {
    let known = names(inputs);
    for name in settings.inputs.keys() {
        if !known.contains(name) {
            return Err(InputError::Unknown { found: name.clone(), known });
        }
    }
    let several = inputs.len() > 1;
    let bare = settings.scale.is_some()
        || settings.mean.is_some()
        || settings.std.is_some()
        || settings.layout.is_some();
    if several && bare {
        return Err(InputError::Several { known });
    }
    for input in inputs {
        let mut own = InputSettings { inputs: BTreeMap::new(), ..settings.clone() };
        if let Some(named) = settings.inputs.get(&input.name) {
            own.scale = named.scale.or(own.scale);
            own.mean = named.mean.clone().or(own.mean);
            own.std = named.std.clone().or(own.std);
            own.layout = named.layout.or(own.layout);
        }
        let differs = |values: &Option<Vec<f32>>, neutral: f32| {
            values.iter().flatten().any(|value| *value != neutral)
        };
        let scales = own.scale.is_some_and(|scale| scale != 1.0);
        if input.whole && (scales || differs(&own.mean, 0.0) || differs(&own.std, 1.0)) {
            return Err(InputError::Whole { name: input.name.clone() });
        }
        let name = if several { input.name.clone() } else { String::new() };
        input.apply(&own).map_err(|source| InputError::Preprocessing { name, source })?;
    }
    Ok(())
}

fn names(inputs: &[ModelInput]) -> Vec<String> {
    inputs.iter().map(|input| input.name.clone()).collect()
}

/// The axis of the input sample that channels lie along: the one that becomes the first axis where the
/// network transposes its input to channels first, and the first axis otherwise.
///
/// Converters of networks with channels last (tf2onnx) write such a transpose; for a single channel,
/// a reshape from `[height, width, 1]` to `[1, height, width]`.
pub fn channel_axis(graph: &Graph) -> usize {
    channel_axis_of(graph, graph.input()).unwrap_or(0)
}

fn channel_axis_of(graph: &Graph, value: ValueId) -> Option<usize> {
    let shape = &graph.value(value).shape;
    let axes = graph.consumers(value).into_iter().map(|consumer| {
        let node = &graph.nodes[consumer];
        match &node.op {
            Op::Permute(permute) => permute.axes.first().copied(),
            Op::Reshape(_) => {
                let output = &graph.value(node.output).shape;
                let moves = shape.len() == 3
                    && output.len() == 3
                    && (shape[2], output[0]) == (1, 1)
                    && shape[..2] == output[1..]
                    && shape[0] != 1;
                moves.then_some(2)
            }
            // Element-wise operations before the transpose keep the axes.
            Op::Unary(_) | Op::Clip(_) => channel_axis_of(graph, node.output),
            _ => None,
        }
    });
    let mut axes = axes.collect::<Option<Vec<usize>>>()?;
    axes.dedup();
    match axes[..] {
        [axis] => Some(axis),
        _ => None,
    }
}

fn list(values: &[f32]) -> String {
    match values {
        [] => "none".into(),
        values => values.iter().map(f32::to_string).collect::<Vec<_>>().join(","),
    }
}

fn layout_name(layout: DataLayout) -> String {
    match layout {
        DataLayout::Model => "the model's",
        DataLayout::ChannelsLast => "channels last",
        DataLayout::ChannelsFirst => "channels first",
    }
    .into()
}
