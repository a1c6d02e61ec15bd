//! The recordings that `scripts/fetch-streams.py` wrote: sequences of frames, with a label for each of them.

use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};

/// The sequences of one split.
pub struct Recordings {
    /// Sequence after sequence, scaled.
    values: Vec<f32>,
    /// Sequences, and the two extents of one.
    shape: [usize; 3],
    labels: Vec<u8>,
}

impl Recordings {
    /// Reads `<split>_x.npy` (integers, `[N, A, B]`), of which `step` is the unit, and `<split>_y.npy` (u8, `[N, T]`).
    ///
    /// # Errors
    /// If a file is missing or has another form.
    pub fn read(folder: &Path, split: &str, step: f32) -> Result<Self, Box<dyn Error>> {
        let open = |suffix: &str| -> Result<_, Box<dyn Error>> {
            let path = folder.join(format!("{split}_{suffix}.npy"));
            let file = File::open(&path).map_err(|error| {
                format!("{}: {error}; scripts/fetch-streams.py writes it", path.display())
            })?;
            let array = npyz::NpyFile::new(BufReader::new(file))
                .map_err(|error| format!("{}: {error}", path.display()))?;
            Ok((array, path))
        };
        let (array, path) = open("x")?;
        let extents = array.shape().to_vec();
        let &[samples, a, b] = &extents[..] else {
            return Err(format!("{}: expected [N, A, B], {extents:?}", path.display()).into());
        };
        // 8 or 16 bits, whichever these recordings need.
        let elements: Vec<i16> = match array.try_data::<i8>() {
            Ok(bytes) => bytes.map(|byte| byte.map(i16::from)).collect::<Result<_, _>>()?,
            Err(array) => array.into_vec()?,
        };
        let (labels, path) = open("y")?;
        if labels.shape().first() != Some(&samples) || labels.shape().len() != 2 {
            let found = labels.shape();
            return Err(format!("{}: expected [{samples}, T], {found:?}", path.display()).into());
        }
        Ok(Self {
            values: elements.into_iter().map(|element| f32::from(element) * step).collect(),
            shape: [samples as usize, a as usize, b as usize],
            labels: labels.into_vec()?,
        })
    }

    /// Number of sequences.
    pub fn len(&self) -> usize {
        self.shape[0]
    }

    /// Whether there are no sequences.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sequences of these indices, `[batch, A, B]`.
    pub fn batch(&self, indices: &[usize], device: &Device) -> Tensor<3> {
        let [_, a, b] = self.shape;
        let values: Vec<f32> = indices
            .iter()
            .flat_map(|&index| &self.values[index * a * b..][..a * b])
            .copied()
            .collect();
        Tensor::from_data(TensorData::new(values, [indices.len(), a, b]), device)
    }

    /// The labels of these sequences, one sequence after the other.
    pub fn labels(&self, indices: &[usize], device: &Device) -> Tensor<1, Int> {
        let each = self.labels.len() / self.len();
        let labels: Vec<i64> = indices
            .iter()
            .flat_map(|&index| &self.labels[index * each..][..each])
            .map(|&label| i64::from(label))
            .collect();
        let count = labels.len();
        Tensor::from_data(TensorData::new(labels, [count]), device)
    }

    /// The share of labels that are the most likely class in what `forward` makes of all sequences: logits
    /// `[labels, classes]`.
    ///
    /// # Errors
    /// If the classes cannot be read from the device.
    pub fn accuracy(
        &self,
        forward: impl FnOnce(Tensor<3>) -> Tensor<2>,
    ) -> Result<f64, Box<dyn Error>> {
        let device = Device::flex();
        let all: Vec<usize> = (0..self.len()).collect();
        let outputs = forward(self.batch(&all, &device));
        let classes = outputs.argmax(1).into_data().convert::<i64>().try_to_vec::<i64>()?;
        let correct = classes.iter().zip(&self.labels);
        let correct = correct.filter(|&(&class, &label)| class == i64::from(label)).count();
        Ok(correct as f64 / self.labels.len() as f64)
    }
}

/// The folder of one of the tasks that are part of the examples.
pub fn folder(task: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(task)
}
