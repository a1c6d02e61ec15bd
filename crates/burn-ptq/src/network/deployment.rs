//! Using a quantized network: running, evaluating, refining, saving and exporting it.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use burn_ptq_deploy::export::{
    ExportError, Exported, Exporter, Options, Rendered, SelfTest, exporter, target, write_folder,
};
use burn_ptq_deploy::file;
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::program::Program;
use burn_ptq_deploy::run::{
    Path as KernelPath, dequantize_outputs, quantize_inputs, run_batch, run_sequence,
};
use burn_ptq_deploy::simplify::Simplification;
use burn_ptq_deploy::streaming::{Streamed, Streaming};
use burn_ptq_deploy::target::{HOST, Kernels};

use crate::calibrate::{BatchShapeError, SeveralEnds};
use crate::error::Error;
use crate::event::{Cancelled, Progress};
use crate::graph::{Batch, StatePair};
use crate::lower::{LowerError, lower};
use crate::network::{MeasuredOn, Noise, Quantized};
use crate::quant::{QuantizedGraph, SimulatedModel};
use crate::warnings::{Facts, check, layer_facts, output_facts};

/// A lowered program, ready to be used.
pub(crate) struct Deployed {
    pub program: Placed,
    pub lowered: Placed,
    pub simplification: Option<Simplification>,
    pub streamed: Option<Streamed>,
}

impl Deployed {
    /// Makes states of inputs and outputs, simplifies the program, unless it is to keep all channels, gives it
    /// places in memory, and makes its form for streams.
    ///
    /// This is the only place where that happens: whatever uses the program sees the same one.
    pub(crate) fn new(
        lowered: Program,
        keeps_all_channels: bool,
        states: &[StatePair],
        streaming: Option<&Streaming>,
    ) -> Result<Self, LowerError> {
        let place = |program: Program| program.place(Kernels::Portable, Memory::Whole);
        let pairs: Vec<_> = states.iter().map(|state| (state.input, state.output)).collect();
        let kept = lowered.clone().with_states(&pairs);
        let (program, simplification) = match keeps_all_channels {
            true => (kept, None),
            false => {
                let (program, simplification) = kept.simplified()?;
                (program, Some(simplification))
            }
        };
        let streamed = streaming.map(|streaming| program.streamed(streaming)).transpose()?;
        let (program, lowered) = (place(program)?, place(lowered)?);
        Ok(Self { program, lowered, simplification, streamed })
    }
}

impl Quantized {
    /// Runs the integer program, bit for bit what the exported code computes, on a batch.
    ///
    /// # Shapes
    /// - `input`: `[batch, ..]`, the model's input sample behind the batch
    /// - output: `[batch, outputs]`, the model's output flattened, on the input's device
    ///
    /// # Errors
    /// If the input has another shape, the model has several inputs or outputs (which
    /// [`forward_all`](Self::forward_all) takes), or the program cannot run.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Result<Tensor<2>, Error> {
        for (what, ends) in [("inputs", &self.float.inputs), ("outputs", &self.float.outputs)] {
            if ends.len() != 1 {
                return Err(SeveralEnds { what, found: ends.len() }.into());
            }
        }
        let sample = &self.float.value(self.float.input()).shape;
        let found = input.dims();
        if found[1..] != sample[..] {
            let (what, expected) = ("the input of `forward`", sample.clone());
            return Err(BatchShapeError { what, found: found.to_vec(), expected }.into());
        }
        let device = input.device();
        let mut outputs = self.run(&Batch::of(input), &device)?;
        Ok(outputs.remove(0))
    }

    /// Runs the integer program, bit for bit what the exported code computes, on a sequence after a reset: of
    /// each step the inputs beside states, one after the other: see [`step_len`](crate::step_len). Returns the
    /// outputs of all steps.
    ///
    /// # Errors
    /// If the steps have another size.
    pub fn run_sequence(&self, sequence: &[f32]) -> Result<Vec<f32>, Error> {
        let bytes = quantize_inputs(&self.program, sequence);
        let outputs = run_sequence(&self.program, KernelPath::Fast, &bytes)?;
        Ok(dequantize_outputs(&self.program, &outputs))
    }

    /// Of samples the inputs beside states.
    fn fed(&self, samples: &Batch) -> Batch {
        let graph = &self.float;
        if graph.states.is_empty() {
            return samples.clone();
        }
        let mut values = Vec::new();
        for sample in samples.samples() {
            let mut rest = sample;
            for (place, &id) in graph.inputs.iter().enumerate() {
                let (own, others) = rest.split_at(graph.value(id).len());
                if !graph.is_state_input(place) {
                    values.extend_from_slice(own);
                }
                rest = others;
            }
        }
        Batch { values, count: samples.count }
    }

    /// Runs the integer program, bit for bit what the exported code computes, on a batch: a tensor for
    /// each input of the model, in order, and one for each output, on the inputs' device.
    ///
    /// # Shapes
    /// - `inputs`: `[batch, d1, d2, d3]`, the input's sample padded with trailing ones
    /// - outputs: `[batch, elements]`, flattened
    ///
    /// # Errors
    /// If there is not one tensor for each input, one has another shape, or the program cannot run.
    pub fn forward_all(&self, inputs: Vec<Tensor<4>>) -> Result<Vec<Tensor<2>>, Error> {
        let (float, what) = (&self.float, "an input of `forward_all`");
        if inputs.len() != float.inputs.len() {
            let (found, expected) = (vec![inputs.len()], vec![float.inputs.len()]);
            let what = "the list of inputs of `forward_all`";
            return Err(BatchShapeError { what, found, expected }.into());
        }
        let batch = inputs[0].dims()[0];
        for (input, &id) in inputs.iter().zip(&float.inputs) {
            let (found, [a, b, c]) = (input.dims(), float.value(id).dims());
            if found != [batch, a, b, c] {
                let (found, expected) = (found.to_vec(), vec![a, b, c]);
                return Err(BatchShapeError { what, found, expected }.into());
            }
        }
        let device = inputs[0].device();
        self.run(&Batch::of_inputs(inputs), &device)
    }

    /// The values of each output for samples.
    fn run(&self, samples: &Batch, device: &Device) -> Result<Vec<Tensor<2>>, Error> {
        // States are inputs and outputs like others here.
        let program = if self.program.states.is_empty() { &self.program } else { &self.lowered };
        let bytes = quantize_inputs(program, &samples.values);
        let outputs = run_batch(program, KernelPath::Fast, &bytes)?;
        let outputs = dequantize_outputs(program, &outputs);
        let (all, count) = (program.output_len(), samples.count);
        let mut start = 0;
        let part = |len: usize| {
            let own = start..start + len;
            start = own.end;
            let values = outputs.chunks(all).flat_map(|sample| &sample[own.clone()]).copied();
            Tensor::from_data(TensorData::new(values.collect::<Vec<f32>>(), [count, len]), device)
        };
        Ok(program.output_tensors().map(|tensor| tensor.len()).map(part).collect())
    }

    /// The float network that takes only the values of the integer one: a Burn module.
    pub fn simulate(&self, device: &Device) -> SimulatedModel {
        SimulatedModel::new(&self.graph, device)
    }

    /// The same network with other weights and scales, such as those that a
    /// [`QatModel`](crate::qat::QatModel) learned.
    ///
    /// # Errors
    /// If a layer cannot be lowered, or a scale is not a positive number because training diverged.
    pub fn refined(&self, quantized: QuantizedGraph) -> Result<Self, Error> {
        if let Some((node, scale)) = quantized.diverged() {
            let problem = format!(
                "its learned scale is {scale}: training diverged; train with a lower learning rate"
            );
            return Err(LowerError::Unsupported { node, problem }.into());
        }
        let (mut program, layouts) = lower(&quantized, self.program.provenance.clone())?;
        for (new, old) in program.inputs.iter_mut().zip(&self.program.inputs) {
            new.preprocessing.clone_from(&old.preprocessing);
        }
        for (new, old) in program.outputs.iter_mut().zip(&self.program.outputs) {
            new.classes.clone_from(&old.classes);
        }
        let states = &quantized.graph.states;
        let streaming = self.streamed.as_ref().map(Streamed::streaming);
        let Deployed { program, lowered, simplification, streamed } =
            Deployed::new(program, self.simplification.is_none(), states, streaming.as_ref())?;
        let (inputs, on) = (self.noise.inputs.clone(), self.noise.on);
        let device = Device::default();
        let noise = Noise::measure(&self.float, &quantized, inputs, on, &device, &|_| true)?;
        let facts = Facts {
            layers: layer_facts(&quantized, &noise),
            outputs: output_facts(&quantized, &noise),
            ..self.facts.clone()
        };
        let warnings = check(&facts);
        Ok(Self {
            float: self.float.clone(),
            graph: quantized,
            program,
            lowered,
            layouts,
            simplification,
            streamed,
            probes: self.probes.clone(),
            noise,
            facts,
            warnings,
            seconds: self.seconds.clone(),
        })
    }

    /// Measures [`noise`](Self::noise) again, on other samples, and what follows from it.
    pub fn measure_noise(
        &mut self,
        inputs: Batch,
        on: MeasuredOn,
        device: &Device,
        progress: Progress,
    ) -> Result<(), Cancelled> {
        self.noise = Noise::measure(&self.float, &self.graph, inputs, on, device, progress)?;
        self.facts.layers = layer_facts(&self.graph, &self.noise);
        self.facts.outputs = output_facts(&self.graph, &self.noise);
        self.warnings = check(&self.facts);
        Ok(())
    }

    /// Writes the integer program to a `.bptq` file, in one step; makes the folder that it lies in.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        Ok(file::write(path, &self.program)?)
    }

    /// Prints the program as code into `folder` by an exporter, such as `c`, with a self-test on the
    /// first calibration samples, for any machine; see [`export_for`](Self::export_for).
    ///
    /// # Errors
    /// If there is no such exporter, or the folder must not or cannot be written.
    pub fn export(&self, name: &str, folder: &Path) -> Result<Exported, Error> {
        self.export_for(name, HOST.name, folder)
    }

    /// Prints the program as code for a [target](burn_ptq_deploy::target), such as `cortex-m4`: the
    /// kernels and the order of the weights are the target's, the outputs are the same. Layers run
    /// row by row, and activations of 4 bits are packed, where that
    /// [saves memory](burn_ptq_deploy::place::Memory::Reduced).
    ///
    /// Functions and files are named after the program. Files that the user added to `folder` stay,
    /// and those that they changed are kept or refused; see
    /// [`stage_folder`](burn_ptq_deploy::export::stage_folder).
    ///
    /// # Errors
    /// If there is no such exporter or target, or the folder must not or cannot be written.
    pub fn export_for(
        &self,
        name: &str,
        target_name: &str,
        folder: &Path,
    ) -> Result<Exported, Error> {
        let (exporter, rendered) = self.render(name, target_name)?;
        let written = write_folder(folder, exporter.name(), &rendered.files)?;
        Ok(Exported { files: written.files, kept: written.kept, figures: rendered.figures })
    }

    /// The exporter called `name`, and what it writes.
    pub fn render(
        &self,
        name: &str,
        target_name: &str,
    ) -> Result<(&'static dyn Exporter, Rendered), Error> {
        let (exporter, target) = (exporter(name)?, target(target_name)?);
        let kernels = exporter.kernels(target);
        let program = match &self.streamed {
            Some(streamed) => {
                let mut program = streamed.program.clone();
                program.name.clone_from(&self.program.name);
                program.place(kernels, Memory::Reduced)
            }
            None => self.program.place_again(kernels, Memory::Reduced),
        };
        let program = program.map_err(ExportError::from)?;
        let rendered = exporter.render(&program, &self.self_test()?, &Options::new(target))?;
        Ok((exporter, rendered))
    }

    /// The first calibration samples, frame by frame if exports take them so, and what the program makes of
    /// them.
    pub(crate) fn self_test(&self) -> Result<SelfTest, Error> {
        let inputs = quantize_inputs(&self.program, &self.fed(&self.probes).values);
        let samples = inputs.chunks(self.program.input_bytes());
        let Some(streamed) = &self.streamed else {
            let samples: Vec<Vec<u8>> = samples.map(<[u8]>::to_vec).collect();
            return Ok(SelfTest::new(&self.program, &samples)?);
        };
        let program = streamed.program.clone().place(Kernels::Portable, Memory::Whole);
        let program = program.map_err(ExportError::from)?;
        let calls: Vec<Vec<u8>> = samples.flat_map(|sample| streamed.calls(sample)).collect();
        let enough = streamed.calls_of_self_test().min(calls.len());
        Ok(SelfTest::new(&program, &calls[..enough])?)
    }
}
