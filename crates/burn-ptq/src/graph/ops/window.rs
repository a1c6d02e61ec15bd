//! Windows of convolutions and pools over the two spatial axes.

use std::ops::Range;

use burn_ptq_deploy::verify::MAX_WINDOW;

/// What the two axes of a window are called.
const AXES: [&str; 2] = ["height (or length)", "width"];

/// How a window walks over height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Kernel extents, height then width.
    pub kernel: [usize; 2],
    /// Steps between windows.
    pub stride: [usize; 2],
    /// Distance between two taps.
    pub dilation: [usize; 2],
    /// Padding before height and width.
    pub begin: [usize; 2],
    /// Padding after height and width.
    pub end: [usize; 2],
}

impl Window {
    /// A window of `kernel` that moves by one and is not padded.
    pub fn new(kernel: [usize; 2]) -> Self {
        Self { kernel, stride: [1; 2], dilation: [1; 2], begin: [0; 2], end: [0; 2] }
    }

    /// The output extents over an input of `extents`, or why there are none.
    pub fn output(&self, extents: [usize; 2]) -> Result<[usize; 2], String> {
        let mut output = [0; 2];
        for axis in 0..2 {
            let (kernel, stride) = (self.kernel[axis], self.stride[axis]);
            if kernel == 0 || stride == 0 || self.dilation[axis] == 0 {
                return Err("kernel, stride and dilation must be at least 1".into());
            }
            let longest = kernel.max(stride).max(self.dilation[axis]).max(self.begin[axis]);
            if longest > MAX_WINDOW {
                return Err(format!(
                    "a window of kernel {kernel}, stride {stride}, dilation {} and padding {} exceeds \
                     {MAX_WINDOW}",
                    self.dilation[axis], self.begin[axis]
                ));
            }
            let reach = (kernel - 1) * self.dilation[axis] + 1;
            let padded = extents[axis] + self.begin[axis] + self.end[axis];
            if reach > padded {
                return Err(format!(
                    "the kernel reaches over {reach} elements, but the padded input has {padded}"
                ));
            }
            output[axis] = (padded - reach) / stride + 1;
        }
        Ok(output)
    }

    /// How many taps of the window at `position` of `axis` fall into a range of the padded input.
    pub fn taps_inside(&self, axis: usize, position: usize, range: &Range<usize>) -> usize {
        let start = position * self.stride[axis];
        let taps_before = |place: usize| {
            place.saturating_sub(start).div_ceil(self.dilation[axis]).min(self.kernel[axis])
        };
        taps_before(range.end).saturating_sub(taps_before(range.start))
    }

    /// Refuses windows over an input of `extents` that start too far behind it: integer kernels
    /// know only the padding before the input, and take no more behind it.
    pub(super) fn check_starts(&self, extents: [usize; 2]) -> Result<(), String> {
        let output = self.output(extents)?;
        for axis in 0..2 {
            let (begin, end) = (self.begin[axis], self.end[axis]);
            let start = (output[axis] - 1) * self.stride[axis];
            if start >= extents[axis] + 2 * begin {
                return Err(format!(
                    "its last window along {} starts {} elements behind the input of {}, in padding \
                     alone, since {begin} elements pad the input in front and {end} at its end",
                    AXES[axis],
                    start - begin - extents[axis],
                    extents[axis],
                ));
            }
        }
        Ok(())
    }

    /// Refuses windows over an input of `extents` of whose taps `counted` says that there is none.
    pub(super) fn check_counts(
        &self,
        extents: [usize; 2],
        counted: impl Fn(usize, usize) -> usize,
    ) -> Result<(), String> {
        let output = self.output(extents)?;
        for axis in 0..2 {
            if let Some(position) = (0..output[axis]).find(|&p| counted(axis, p) == 0) {
                return Err(format!(
                    "its window {position} along {} contains only padding, which a pool has no \
                     value for: the input has {} elements, padded by {} in front and {} at its end",
                    AXES[axis], extents[axis], self.begin[axis], self.end[axis],
                ));
            }
        }
        Ok(())
    }

    /// Padding as pairs of before and after, as Burn wants it.
    pub fn padding(&self) -> [(usize, usize); 2] {
        [(self.begin[0], self.end[0]), (self.begin[1], self.end[1])]
    }

    /// Whether nothing is padded.
    pub fn is_unpadded(&self) -> bool {
        self.begin == [0; 2] && self.end == [0; 2]
    }
}

/// Infers the output of a windowed operation over a sample of two or three axes, `channels` first.
pub(super) fn windowed_shape(
    input: &[usize],
    window: &Window,
    channels: usize,
) -> Result<Vec<usize>, String> {
    if !(2..=3).contains(&input.len()) {
        return Err(format!(
            "expected a sample of shape [channels, height, width], found {input:?}"
        ));
    }
    let [_, height, width] = crate::graph::dims3(input);
    let output = window.output([height, width])?;
    let mut shape = vec![channels, output[0], output[1]];
    shape.truncate(input.len());
    Ok(shape)
}
