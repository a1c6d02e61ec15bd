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

impl Preprocessing {
    /// The source model's input element that a raw element of channel `channel` becomes: the one
    /// statement of the formula, in single precision and in this order of operations. Exports compute
    /// the same bits.
    pub fn element(&self, raw: f32, channel: usize) -> f32 {
        let pick = |values: &[f32], default: f32| match values {
            [] => default,
            [one] => *one,
            many => many.get(channel).copied().unwrap_or(default),
        };
        let (mean, std) = (pick(&self.mean, 0.0), pick(&self.std, 1.0));
        (raw * self.scale - mean) / std
    }

    /// The channel of element `place` of the source model's input sample of `shape`.
    pub fn channel(&self, shape: &[usize], place: usize) -> usize {
        let Some(&channels) = shape.get(self.channel_axis) else { return 0 };
        let inner: usize = shape[self.channel_axis + 1..].iter().product();
        place / inner.max(1) % channels.max(1)
    }

    /// Where element `place` of the source model's input sample of `shape` stands in a raw sample.
    pub fn raw_place(&self, shape: &[usize], place: usize) -> usize {
        let elements: usize = shape.iter().product();
        match self.layout {
            DataLayout::Model => place,
            DataLayout::ChannelsLast => {
                let channels = shape.first().copied().unwrap_or(1).max(1);
                let inner = (elements / channels).max(1);
                place % inner * channels + place / inner
            }
            DataLayout::ChannelsFirst => {
                let channels = shape.last().copied().unwrap_or(1).max(1);
                place % channels * (elements / channels) + place / channels
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_places_follow_the_order_of_the_axes() {
        let places = |layout, shape: &[usize]| {
            let preprocessing = Preprocessing { layout, ..Preprocessing::default() };
            let elements = shape.iter().product();
            (0..elements).map(|i| preprocessing.raw_place(shape, i)).collect::<Vec<_>>()
        };
        assert_eq!(places(DataLayout::Model, &[2, 3]), [0, 1, 2, 3, 4, 5]);
        // [c, t] stands at t * 2 + c.
        assert_eq!(places(DataLayout::ChannelsLast, &[2, 3]), [0, 2, 4, 1, 3, 5]);
        // [t, c] stands at c * 3 + t.
        assert_eq!(places(DataLayout::ChannelsFirst, &[3, 2]), [0, 3, 1, 4, 2, 5]);
        assert_eq!(places(DataLayout::ChannelsLast, &[4]), [0, 1, 2, 3]);
        assert_eq!(places(DataLayout::ChannelsLast, &[]), [0]);
    }

    #[test]
    fn channels_lie_along_their_axis_and_have_their_own_mean() {
        let preprocessing = Preprocessing {
            scale: 0.5,
            mean: vec![1.0, 2.0],
            std: vec![4.0],
            channel_axis: 1,
            ..Preprocessing::default()
        };
        let channels: Vec<_> = (0..6).map(|i| preprocessing.channel(&[3, 2], i)).collect();
        assert_eq!(channels, [0, 1, 0, 1, 0, 1]);
        assert_eq!(preprocessing.element(10.0, 0), 1.0);
        assert_eq!(preprocessing.element(10.0, 1), 0.75);
    }
}
