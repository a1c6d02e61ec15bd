//! How raw data become a model's input: what is configured, and what follows from the model.

use burn_ptq::graph::{Graph, Op, ValueId};
use burn_ptq::warning::Warning;
use burn_ptq_deploy::preprocess::{DataLayout, Preprocessing, PreprocessingError};
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
    /// The names of the classes, in the order of the model's outputs.
    pub classes: Vec<String>,
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
        }
    }

    /// The input of a float network.
    ///
    /// # Errors
    /// If the settings do not fit it.
    pub fn of_graph(graph: &Graph, settings: &InputSettings) -> Result<Self, PreprocessingError> {
        let value = graph.value(graph.input());
        let mut input = Self::new(&value.name, &value.shape);
        input.preprocessing.channel_axis = channel_axis(graph);
        input.apply(settings)?;
        Ok(input)
    }

    /// The input of an integer program, which records how raw samples become it; settings that say
    /// something else win, with a warning each.
    ///
    /// # Errors
    /// If the settings do not fit it.
    pub fn of_program(
        program: &Program,
        settings: &InputSettings,
    ) -> Result<(Self, Vec<Warning>), PreprocessingError> {
        let mut input = Self::new(&program.inputs[0].name, &program.inputs[0].border.source_shape);
        input.preprocessing = program.inputs[0].preprocessing.clone();
        input.classes.clone_from(&program.outputs[0].classes);
        let recorded = input.clone();
        input.apply(settings)?;
        let (was, is) = (&recorded.preprocessing, &input.preprocessing);
        let unrecorded = Preprocessing { channel_axis: was.channel_axis, ..Default::default() };
        let mut warnings = Vec::new();
        // A program that was made of tensors records nothing.
        if *was != (Preprocessing { element: was.element, ..unrecorded }) {
            let mut compare = |what: &str, was: String, is: String| {
                if was != is {
                    warnings.push(Warning::new(
                        "preprocessing-overridden",
                        format!("{what} is {is}, but the model was calibrated with {was}"),
                        "leave the setting out unless the data are stored in another way",
                    ));
                }
            };
            compare("the input scale", was.scale.to_string(), is.scale.to_string());
            compare("the input mean", list(&was.mean), list(&is.mean));
            compare("the input std", list(&was.std), list(&is.std));
            compare("the layout", layout_name(was.layout), layout_name(is.layout));
            let frames = |frames: Option<usize>| frames.map_or("none".into(), |n| n.to_string());
            compare("the window", frames(was.window_frames), frames(is.window_frames));
        }
        Ok((input, warnings))
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
