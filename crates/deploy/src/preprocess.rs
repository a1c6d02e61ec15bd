//! How raw samples become the source model's input: part of the program, and of every export.

use serde::{Deserialize, Serialize};
use thiserror::Error;

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
    /// Checks that it can be applied to inputs of `shape`, the shape of one sample.
    ///
    /// # Errors
    /// If a number is not usable, or their count is neither 1 nor that of the channels.
    pub fn check(&self, shape: &[usize]) -> Result<(), PreprocessingError> {
        if !self.scale.is_finite() || self.scale == 0.0 {
            return Err(PreprocessingError::Scale { found: self.scale });
        }
        if self.mean.iter().any(|x| !x.is_finite()) {
            return Err(PreprocessingError::Mean { found: self.mean.clone() });
        }
        if self.std.iter().any(|x| !x.is_finite() || *x <= 0.0) {
            return Err(PreprocessingError::Std { found: self.std.clone() });
        }
        if self.window_frames == Some(0) {
            return Err(PreprocessingError::Window);
        }
        let axis = self.channel_axis;
        let Some(&channels) = shape.get(axis) else {
            return Err(PreprocessingError::Axis { axis, shape: shape.into() });
        };
        for (what, values) in [("mean", &self.mean), ("std", &self.std)] {
            let found = values.len();
            if found > 1 && found != channels {
                let shape = shape.into();
                return Err(PreprocessingError::Count { what, found, channels, axis, shape });
            }
        }
        Ok(())
    }

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

    /// Whether all channels have the same mean and standard deviation.
    fn is_uniform(&self) -> bool {
        self.mean.len() <= 1 && self.std.len() <= 1
    }

    /// The channel of element `place` of the source model's input sample of `shape`.
    pub fn channel(&self, shape: &[usize], place: usize) -> usize {
        let Some(&channels) = shape.get(self.channel_axis) else { return 0 };
        let inner: usize = shape[self.channel_axis + 1..].iter().product();
        place / inner.max(1) % channels.max(1)
    }

    /// Applies [`element`](Self::element) to one sample in the order of the model's input of `shape`.
    pub fn apply(&self, sample: &mut [f32], shape: &[usize]) {
        if self.scale == 1.0 && self.mean.is_empty() && self.std.is_empty() {
            return;
        }
        // Neighbours of one channel together, so that what depends on the channel stays out of the loop.
        let inner = shape.get(self.channel_axis + 1..).map_or(1, |axes| axes.iter().product());
        let together: usize = if self.is_uniform() { sample.len() } else { inner };
        for (block, values) in sample.chunks_mut(together.max(1)).enumerate() {
            let channel = self.channel(shape, block * together);
            for x in values {
                *x = self.element(*x, channel);
            }
        }
    }

    /// The shape of a raw sample of a model whose input is `shape`: the same axes in the order of
    /// [`layout`](Self::layout).
    pub fn raw_shape(&self, shape: &[usize]) -> Vec<usize> {
        let mut raw = shape.to_vec();
        match self.layout {
            DataLayout::Model => {}
            DataLayout::ChannelsLast if !raw.is_empty() => raw.rotate_left(1),
            DataLayout::ChannelsFirst if !raw.is_empty() => raw.rotate_right(1),
            DataLayout::ChannelsLast | DataLayout::ChannelsFirst => {}
        }
        raw
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

/// A preprocessing that cannot be applied to the samples of a model.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum PreprocessingError {
    /// The factor is not a usable number.
    #[error("the input scale is {found}: expected a finite number other than 0")]
    Scale {
        /// The factor.
        found: f32,
    },
    /// A mean is not a number.
    #[error("the input mean holds {found:?}: expected finite numbers")]
    Mean {
        /// The means.
        found: Vec<f32>,
    },
    /// A standard deviation is not a positive number.
    #[error("the input std holds {found:?}: expected positive finite numbers")]
    Std {
        /// The standard deviations.
        found: Vec<f32>,
    },
    /// There are neither as many values as channels nor one for all.
    #[error(
        "the input {what} has {found} values, but the model's input {shape:?} has {channels} \
         channel{} (along its axis {axis}): expected 1 or {channels}",
        if *channels == 1 { "" } else { "s" }
    )]
    Count {
        /// `mean` or `std`.
        what: &'static str,
        /// How many values there are.
        found: usize,
        /// How many channels the input has.
        channels: usize,
        /// The axis of the channels in `shape`.
        axis: usize,
        /// The shape of one input sample.
        shape: Vec<usize>,
    },
    /// The channels lie along an axis that samples do not have.
    #[error("channels lie along axis {axis}, but the model's input is {shape:?}")]
    Axis {
        /// The axis.
        axis: usize,
        /// The shape of one input sample.
        shape: Vec<usize>,
    },
    /// Inputs of no frames.
    #[error("the window has 0 frames: expected at least 1")]
    Window,
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

impl Element {
    /// What Rust, files and reports call it.
    pub const fn name(self) -> &'static str {
        match self {
            Element::U8 => "u8",
            Element::I8 => "i8",
            Element::U16 => "u16",
            Element::I16 => "i16",
            Element::I32 => "i32",
            Element::F32 => "f32",
        }
    }
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

    #[test]
    fn counts_other_than_one_or_the_channels_are_refused() {
        let of = |mean: usize, std: usize| Preprocessing {
            mean: vec![0.5; mean],
            std: vec![0.5; std],
            ..Preprocessing::default()
        };
        for (mean, std) in [(0, 0), (1, 3), (3, 1), (3, 0)] {
            assert_eq!(of(mean, std).check(&[3, 8, 8]), Ok(()));
        }
        for (mean, std, what, found) in [(2, 0, "mean", 2), (4, 3, "mean", 4), (3, 2, "std", 2)] {
            let error = of(mean, std).check(&[3, 8, 8]).unwrap_err().to_string();
            let expected = format!("the input {what} has {found} values");
            assert!(error.contains(&expected) && error.contains("3 channels"), "{error}");
        }
    }

    #[test]
    fn numbers_that_cannot_be_applied_are_refused() {
        let neutral = Preprocessing::default;
        for (wrong, message) in [
            (Preprocessing { scale: 0.0, ..neutral() }, "other than 0"),
            (Preprocessing { scale: f32::NAN, ..neutral() }, "NaN"),
            (Preprocessing { mean: vec![f32::INFINITY], ..neutral() }, "finite numbers"),
            (Preprocessing { std: vec![0.0], ..neutral() }, "positive"),
            (Preprocessing { std: vec![-1.0], ..neutral() }, "positive"),
            (Preprocessing { window_frames: Some(0), ..neutral() }, "at least 1"),
            (Preprocessing { channel_axis: 3, ..neutral() }, "axis 3"),
        ] {
            let error = wrong.check(&[3, 8, 8]).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn neutral_values_return_the_element_itself() {
        let neutral = Preprocessing::default();
        for x in [0.0, -0.0, 1.0, 255.0, -1e-30, f32::MIN_POSITIVE, 3.4e38] {
            assert_eq!(neutral.element(x, 0).to_bits(), x.to_bits());
        }
    }

    #[test]
    fn raw_shapes_follow_the_layout() {
        let with = |layout| Preprocessing { layout, ..Preprocessing::default() };
        assert_eq!(with(DataLayout::Model).raw_shape(&[3, 8, 9]), [3, 8, 9]);
        assert_eq!(with(DataLayout::ChannelsLast).raw_shape(&[3, 8, 9]), [8, 9, 3]);
        assert_eq!(with(DataLayout::ChannelsFirst).raw_shape(&[8, 9, 3]), [3, 8, 9]);
    }
}
