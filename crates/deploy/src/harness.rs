//! Harnesses of benchmarks: which network is which benchmark's, and what its device side computes around
//! the integers of a program.
//!
//! Exported harnesses compute the same: [`Harness::input`] and [`Harness::results`] are what they are
//! compared with.

use crate::preprocess::{DataLayout, Element, Preprocessing};
use crate::program::{Input, Program};
use crate::run::quantize_inputs;

/// The harnesses that exports may have.
pub const HARNESSES: &[&str] = &[MLPERF_TINY];

/// The harness of MLPerf Tiny.
pub const MLPERF_TINY: &str = "mlperf-tiny";

/// A network of MLPerf Tiny.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Benchmark {
    /// Image classification.
    Ic01,
    /// Keyword spotting.
    Kws01,
    /// Visual wake words.
    Vww01,
    /// Anomaly detection.
    Ad01,
}

impl Benchmark {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ic01, Self::Kws01, Self::Vww01, Self::Ad01];

    /// What the benchmark calls it.
    pub fn name(self) -> &'static str {
        match self {
            Benchmark::Ic01 => "ic01",
            Benchmark::Kws01 => "kws01",
            Benchmark::Vww01 => "vww01",
            Benchmark::Ad01 => "ad01",
        }
    }

    /// The metric that a submission to the closed division must reach (rules of version 1.2): top-1, for
    /// anomalies the area under the curve.
    pub fn quality_target(self) -> f64 {
        match self {
            Benchmark::Ic01 | Benchmark::Ad01 => 0.85,
            Benchmark::Kws01 => 0.9,
            Benchmark::Vww01 => 0.8,
        }
    }

    /// The shape of a sample, without axes of extent 1.
    fn shape(self) -> &'static [usize] {
        match self {
            Benchmark::Ic01 => &[32, 32, 3],
            Benchmark::Kws01 => &[49, 10],
            Benchmark::Vww01 => &[96, 96, 3],
            Benchmark::Ad01 => &[640],
        }
    }

    /// The elements of an output.
    fn outputs(self) -> usize {
        match self {
            Benchmark::Ic01 => 10,
            Benchmark::Kws01 => 12,
            Benchmark::Vww01 => 2,
            Benchmark::Ad01 => 640,
        }
    }

    /// What the host sends of a sample.
    pub fn sample_layout(self) -> &'static str {
        match self {
            Benchmark::Ic01 => "pixels of 32 x 32 x 3 unsigned bytes, channels last",
            Benchmark::Kws01 => "features of 49 x 10 signed bytes",
            Benchmark::Vww01 => "pixels of 96 x 96 x 3 unsigned bytes, channels last",
            Benchmark::Ad01 => "640 floats of 32 bits, the least significant byte first",
        }
    }

    /// Bytes of a sample.
    pub fn sample_bytes(self) -> usize {
        let elements: usize = self.shape().iter().product();
        match self {
            Benchmark::Ic01 | Benchmark::Kws01 | Benchmark::Vww01 => elements,
            Benchmark::Ad01 => 4 * elements,
        }
    }

    /// How the raw samples of `input` relate to those of the benchmark, if they have its shape.
    fn layout(self, input: &Input) -> Option<DataLayout> {
        let shape: Vec<usize> =
            input.border.source_shape.iter().copied().filter(|&extent| extent > 1).collect();
        let (own, mut first) = (self.shape(), self.shape().to_vec());
        first.rotate_right(1);
        match self {
            _ if shape == own => Some(DataLayout::Model),
            Benchmark::Ic01 | Benchmark::Vww01 => {
                (input.border.source_shape == first).then_some(DataLayout::ChannelsLast)
            }
            // The order of the elements is the same.
            Benchmark::Kws01 => (shape == [490]).then_some(DataLayout::Model),
            Benchmark::Ad01 => None,
        }
    }
}

/// The real number that a byte of features is: `(byte - zero_point) * scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Features {
    /// The factor.
    pub scale: f32,
    /// The byte that is 0.
    pub zero_point: i32,
}

impl Features {
    fn real(self, byte: i8) -> f32 {
        (i32::from(byte) - self.zero_point) as f32 * self.scale
    }
}

/// A harness that does not fit a program.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HarnessError {
    /// There is no harness of this name.
    #[error("there is no harness {found:?}; known: {}", HARNESSES.join(", "))]
    Unknown {
        /// The name.
        found: String,
    },
    /// The benchmark has no model of this name.
    #[error("the benchmark has no model {found:?}; known: ic01, kws01, vww01, ad01")]
    UnknownModel {
        /// The name.
        found: String,
    },
    /// No model of the benchmark has such inputs and outputs.
    #[error(
        "{}: expected one input and one output of {expected}; found {found}",
        model.map_or("the program has the shapes of none of the models", Benchmark::name)
    )]
    Shape {
        /// The model that was asked for.
        model: Option<Benchmark>,
        /// What it has.
        expected: String,
        /// What the program has.
        found: String,
    },
    /// The raw samples of the program are of another kind.
    #[error(
        "{}: the benchmark sends {}, but the program was quantized for {found}; {hint}",
        model.name(),
        model.sample_layout()
    )]
    Samples {
        /// The model.
        model: Benchmark,
        /// What the program records.
        found: String,
        /// What to do.
        hint: &'static str,
    },
    /// Features are not written as they must be.
    #[error(
        "the features {found:?} are not a grid: expected SCALE,ZERO_POINT, a positive number and one of \
         -128..=127, such as 0.5847029,83"
    )]
    Features {
        /// What was given.
        found: String,
    },
    /// The benchmark runs every sample by itself.
    #[error(
        "the harness {MLPERF_TINY} runs every sample by itself, but the program keeps the state {state:?} from one \
         to the next; export it without a harness, with --to c or --to rust"
    )]
    States {
        /// The first state's name.
        state: String,
    },
    /// A target or an exporter without a harness.
    #[error("there is no harness {MLPERF_TINY} for {found}; there is one for {known}")]
    Unsupported {
        /// The exporter or target.
        found: String,
        /// Those that have one.
        known: String,
    },
}

/// The device side of a benchmark for one program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Harness {
    benchmark: Benchmark,
    features: Option<Features>,
}

impl Harness {
    /// The harness called `name` for `program`, which is the benchmark's model called `model`, or the one
    /// whose shapes it has. `features` says as `SCALE,ZERO_POINT` what the bytes of keyword spotting are,
    /// unless the program was quantized for these bytes.
    ///
    /// # Errors
    /// If there are no such names, or the program has other inputs or outputs, or states.
    pub fn new(
        name: &str,
        model: Option<&str>,
        features: Option<&str>,
        program: &Program,
    ) -> Result<Self, HarnessError> {
        if name != MLPERF_TINY {
            return Err(HarnessError::Unknown { found: name.to_owned() });
        }
        expect_no_states(program)?;
        let named = |model: &str| {
            let known = Benchmark::ALL.into_iter().find(|benchmark| benchmark.name() == model);
            known.ok_or_else(|| HarnessError::UnknownModel { found: model.to_owned() })
        };
        let model = model.map(named).transpose()?;
        let fits = |benchmark: &Benchmark| fits(*benchmark, program);
        let benchmark = match model {
            Some(model) => Some(model).filter(fits),
            None => Benchmark::ALL.into_iter().find(fits),
        };
        let benchmark = benchmark.ok_or_else(|| HarnessError::Shape {
            model,
            expected: expected(model),
            found: shapes(program),
        })?;
        let harness = Self { benchmark, features: features.map(parse).transpose()? };
        harness.check_samples(&program.inputs[0].preprocessing)?;
        Ok(harness)
    }

    /// The benchmark's model.
    pub fn benchmark(&self) -> Benchmark {
        self.benchmark
    }

    /// What the bytes of keyword spotting are, if the program was not quantized for these.
    pub fn features(&self) -> Option<Features> {
        self.features
    }

    /// The rule by which a sample of the benchmark becomes the input of the source model.
    pub(crate) fn preprocessing(&self, input: &Input) -> Preprocessing {
        let element = match self.benchmark {
            Benchmark::Ic01 | Benchmark::Vww01 => Element::U8,
            Benchmark::Kws01 => Element::I8,
            Benchmark::Ad01 => Element::F32,
        };
        let layout = self.benchmark.layout(input).unwrap_or_default();
        Preprocessing { element, layout, ..input.preprocessing.clone() }
    }

    /// The number that a byte of a sample is, to which the rule applies; none if samples are floats.
    pub(crate) fn real(&self, byte: u8) -> Option<f32> {
        match (self.benchmark, self.features) {
            (Benchmark::Ic01 | Benchmark::Vww01, _) => Some(f32::from(byte)),
            (Benchmark::Kws01, Some(features)) => Some(features.real(byte as i8)),
            (Benchmark::Kws01, None) => Some(f32::from(byte as i8)),
            (Benchmark::Ad01, _) => None,
        }
    }

    /// The elements of a sample as the host sends it.
    fn elements(&self, sample: &[u8]) -> Vec<f32> {
        match self.benchmark {
            Benchmark::Ad01 => sample
                .chunks_exact(4)
                .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
                .collect(),
            Benchmark::Ic01 | Benchmark::Kws01 | Benchmark::Vww01 => {
                sample.iter().filter_map(|&byte| self.real(byte)).collect()
            }
        }
    }

    /// The input bytes of `program` for a sample as the host sends it; `None` if that has another length.
    pub fn input(&self, program: &Program, sample: &[u8]) -> Option<Vec<u8>> {
        let raw = self.elements(sample);
        let [input] = &program.inputs[..] else { return None };
        let (rule, shape) = (self.preprocessing(input), &input.border.source_shape);
        if sample.len() != self.benchmark.sample_bytes() || raw.len() != program.input_len() {
            return None;
        }
        let values: Vec<f32> = (0..raw.len())
            .map(|i| rule.element(raw[rule.raw_place(shape, i)], rule.channel(shape, i)))
            .collect();
        Some(quantize_inputs(program, &values))
    }

    /// The numbers that the device answers: the outputs of the source model, or the mean squared error of
    /// a reconstruction. `sample` is as the host sends it, `outputs` are the source model's.
    pub fn results(&self, sample: &[u8], outputs: &[f32]) -> Vec<f32> {
        match self.benchmark {
            Benchmark::Ic01 | Benchmark::Kws01 | Benchmark::Vww01 => outputs.to_vec(),
            Benchmark::Ad01 => {
                let pairs = self.elements(sample).into_iter().zip(outputs);
                let sum = pairs.fold(0.0_f32, |sum, (x, y)| sum + (x - y) * (x - y));
                vec![sum / outputs.len() as f32]
            }
        }
    }

    /// The line that the device answers.
    pub fn results_line(results: &[f32]) -> String {
        let numbers: Vec<String> = results.iter().map(|value| format!("{value:.3}")).collect();
        format!("m-results-[{}]", numbers.join(","))
    }

    fn check_samples(&self, rule: &Preprocessing) -> Result<(), HarnessError> {
        let refuse = |hint| {
            let found = rule.element.name();
            let found = format!("{found} samples, multiplied by {}", rule.scale);
            Err(HarnessError::Samples { model: self.benchmark, found, hint })
        };
        let is_plain = rule.scale == 1.0 && rule.mean.is_empty() && rule.std.is_empty();
        match self.benchmark {
            Benchmark::Ic01 | Benchmark::Vww01 if rule.element != Element::U8 => {
                refuse("calibrate with pixels of type u8")
            }
            Benchmark::Kws01 if rule.element != Element::I8 && self.features.is_none() => refuse(
                "say with --harness-features SCALE,ZERO_POINT what the bytes are, or calibrate with them",
            ),
            Benchmark::Ad01 if rule.element != Element::F32 || !is_plain => {
                refuse("calibrate with floats that need no preprocessing")
            }
            Benchmark::Ic01 | Benchmark::Vww01 | Benchmark::Kws01 | Benchmark::Ad01 => Ok(()),
        }
    }
}

/// Checks that a program keeps nothing from one sample to the next.
///
/// # Errors
/// If it does.
pub(crate) fn expect_no_states(program: &Program) -> Result<(), HarnessError> {
    match program.states.first() {
        Some(state) => Err(HarnessError::States { state: state.name.clone() }),
        None => Ok(()),
    }
}

fn fits(benchmark: Benchmark, program: &Program) -> bool {
    let ([input], [output]) = (&program.inputs[..], &program.outputs[..]) else { return false };
    let outputs = program.output_tensor(output).len();
    benchmark.layout(input).is_some() && outputs == benchmark.outputs()
}

/// Inputs and outputs of the models that it may be.
fn expected(model: Option<Benchmark>) -> String {
    let of = |benchmark: &Benchmark| {
        let shape = benchmark.shape();
        format!("{shape:?} and {} elements ({})", benchmark.outputs(), benchmark.name())
    };
    match model {
        Some(model) => of(&model),
        None => Benchmark::ALL.iter().map(of).collect::<Vec<_>>().join(", or "),
    }
}

fn shapes(program: &Program) -> String {
    let list = |shapes: Vec<&Vec<usize>>| {
        shapes.into_iter().map(|shape| format!("{shape:?}")).collect::<Vec<_>>().join(", ")
    };
    let inputs = program.inputs.iter().map(|input| &input.border.source_shape).collect();
    let outputs = program.outputs.iter().map(|output| &output.border.source_shape).collect();
    format!("{} and {}", list(inputs), list(outputs))
}

fn parse(text: &str) -> Result<Features, HarnessError> {
    let parsed = text.split_once(',').and_then(|(scale, zero_point)| {
        let scale: f32 = scale.trim().parse().ok()?;
        let zero_point: i32 = zero_point.trim().parse().ok()?;
        let usable = scale.is_finite() && scale > 0.0 && (-128..=127).contains(&zero_point);
        usable.then_some(Features { scale, zero_point })
    });
    parsed.ok_or_else(|| HarnessError::Features { found: text.to_owned() })
}
