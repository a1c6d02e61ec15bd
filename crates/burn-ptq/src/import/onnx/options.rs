//! What a caller knows about a model beyond its file.

use std::str::FromStr;

use super::quantized::Encodings;

/// How to read a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Shapes of inputs, for axes whose extents the file leaves open.
    pub shapes: Vec<InputShape>,
    /// The shape of one calibration sample, for axes that are open still; channels may be last in it.
    pub sample: Option<Vec<usize>>,
    /// What of a network that is quantized already is to be quantized anew; `None` keeps its integers and grids.
    pub requantize: Option<Requantize>,
    /// Grids of tensors, from a file beside an ONNX model.
    pub encodings: Option<Encodings>,
}

/// What of a network that is quantized already is quantized anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requantize {
    /// Everything: its weights are dequantized, and its activations are floats.
    All,
    /// Its weights; activations keep the file's grids.
    Weights,
}

/// The shape of an input, as in `--shape input=1x3x96x96`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputShape {
    /// The input's name; the only input if left out.
    pub input: Option<String>,
    /// The extents, the batch first; that of the batch makes no difference.
    pub shape: Vec<usize>,
}

/// Text that is not a valid input shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a shape: expected extents of at least 1 such as 1x3x96x96, the batch first, or \
         input=1x3x96x96 with the input's name"
)]
pub struct InputShapeError(pub String);

impl FromStr for InputShape {
    type Err = InputShapeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Names may hold any character.
        let (input, extents) = match text.rsplit_once('=') {
            Some((name, extents)) => (Some(name.to_string()), extents),
            None => (None, text),
        };
        let extent = |text: &str| text.parse().ok().filter(|&extent: &usize| extent > 0);
        let shape: Option<Vec<usize>> = extents.split('x').map(extent).collect();
        match shape.filter(|_| input.as_deref() != Some("")) {
            Some(shape) => Ok(Self { input, shape }),
            None => Err(InputShapeError(text.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read_with_and_without_a_name() {
        let named: InputShape = "serving=default:0=1x3x96x96".parse().unwrap();
        assert_eq!(named.input.as_deref(), Some("serving=default:0"));
        assert_eq!(named.shape, [1, 3, 96, 96]);
        let unnamed = InputShape { input: None, shape: vec![12] };
        assert_eq!("12".parse(), Ok(unnamed));
        for wrong in ["", "x", "1x", "1x0", "a=", "=1x2", "1,3", "input", "1x-2", "input=1X3"] {
            let error = wrong.parse::<InputShape>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("'{wrong}' is not a shape")), "{error}");
        }
    }
}
