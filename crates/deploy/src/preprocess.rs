//! How raw samples become the source model's input: part of the program, and of every export.

use serde::{Deserialize, Serialize};

/// How the raw elements of a sample become the input of the source model:
/// `(x * scale - mean[c]) / std[c]`, where `c` runs along the sample's channels.
///
/// The formula is applied to samples in the layout of the model's input; [`layout`](Self::layout)
/// says how raw samples differ from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Preprocessing {
    /// The type of raw elements: what calibration data were stored as.
    pub element: Element,
    /// The factor.
    pub scale: f32,
    /// One mean for all channels, one a channel, or none.
    pub mean: Vec<f32>,
    /// One standard deviation for all channels, one a channel, or none.
    pub std: Vec<f32>,
    /// The axis of the model's input sample that the channels lie along, without the batch axis: 0
    /// for `[channels, height, width]`, 2 for `[height, width, channels]`.
    pub channel_axis: usize,
    /// The order of a raw sample's axes.
    pub layout: DataLayout,
    /// For recordings `[frames, features]`: consecutive frames that make one input.
    pub window_frames: Option<usize>,
}

impl Default for Preprocessing {
    fn default() -> Self {
        Self {
            element: Element::F32,
            scale: 1.0,
            mean: Vec::new(),
            std: Vec::new(),
            channel_axis: 0,
            layout: DataLayout::Model,
            window_frames: None,
        }
    }
}

/// The type of raw elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Element {
    /// Unsigned bytes: pixels.
    U8,
    /// Signed bytes.
    I8,
    /// Unsigned 16-bit integers: analog-to-digital converters.
    U16,
    /// Signed 16-bit integers: audio, inertial sensors.
    I16,
    /// Signed 32-bit integers.
    I32,
    /// Floats, and whatever else becomes a float first.
    #[default]
    F32,
}

/// How the axes of a raw sample relate to the model's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataLayout {
    /// In the order of the model's input.
    #[default]
    Model,
    /// Channels last, where the model's input has channels first: NHWC samples of an NCHW model.
    ChannelsLast,
    /// Channels first, where the model's input has channels last: NCHW samples of an NHWC model.
    ChannelsFirst,
}
