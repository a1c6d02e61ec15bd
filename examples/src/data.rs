//! The images and labels that `scripts/fetch-digits.py` wrote, and batches of them.

use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

use crate::net::{CLASSES, SIDE};

const PIXELS: usize = SIDE * SIDE;
/// Pixels are 0..=16; the network sees them divided by 16, as `input_scale` of `task.toml` says.
const INPUT_SCALE: f32 = 1.0 / 16.0;

/// One split of the data set.
pub struct Split {
    images: Vec<u8>,
    /// The digit that each image shows.
    pub labels: Vec<i64>,
}

impl Split {
    /// Reads `<name>_x.npy` (u8, `[N, 1, 8, 8]`) and `<name>_y.npy` (i64, `[N]`).
    pub fn read(folder: &Path, name: &str) -> Result<Self, Box<dyn Error>> {
        let open = |suffix: &str| -> Result<_, Box<dyn Error>> {
            let path = folder.join(format!("{name}_{suffix}.npy"));
            let file = File::open(&path).map_err(|error| {
                format!("{}: {error}; scripts/fetch-digits.py writes it", path.display())
            })?;
            let array = npyz::NpyFile::new(BufReader::new(file))
                .map_err(|error| format!("{}: {error}", path.display()))?;
            Ok(array)
        };
        let images = open("x")?;
        let count = images.shape().first().copied().unwrap_or(0);
        if images.shape() != [count, 1, SIDE as u64, SIDE as u64] || count == 0 {
            let found = images.shape();
            return Err(format!("{name}_x.npy: expected [N, 1, {SIDE}, {SIDE}], {found:?}").into());
        }
        let split = Self { images: images.into_vec()?, labels: open("y")?.into_vec()? };
        if split.labels.len() as u64 != count {
            let found = split.labels.len();
            return Err(format!("{name}: {count} images, but {found} labels").into());
        }
        if let Some(label) = split.labels.iter().find(|label| !(0..CLASSES as i64).contains(label))
        {
            return Err(format!("{name}_y.npy: {label} is not a digit").into());
        }
        Ok(split)
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// All images, `[N, 1, 8, 8]`, pixels in 0..=1.
    pub fn images(&self, device: &Device) -> Tensor<4> {
        self.first_images(self.len(), device)
    }

    /// The first `count` images.
    pub fn first_images(&self, count: usize, device: &Device) -> Tensor<4> {
        let images = &self.images[..count.min(self.len()) * PIXELS];
        let pixels = images.iter().map(|&pixel| f32::from(pixel) * INPUT_SCALE).collect();
        image_tensor(pixels, device)
    }

    /// The samples `indices` and their labels.
    pub fn batch(&self, indices: &[usize], device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
        let images = indices.iter().flat_map(|&index| &self.images[index * PIXELS..][..PIXELS]);
        let pixels = images.map(|&pixel| f32::from(pixel) * INPUT_SCALE).collect();
        (image_tensor(pixels, device), self.labels_of(indices, device))
    }

    fn labels_of(&self, indices: &[usize], device: &Device) -> Tensor<1, Int> {
        let labels: Vec<i64> = indices.iter().map(|&index| self.labels[index]).collect();
        Tensor::from_data(TensorData::new(labels, [indices.len()]), device)
    }

    /// The samples `indices`, each shifted at random by up to one pixel each way, and their labels.
    pub fn shifted_batch(
        &self,
        indices: &[usize],
        rng: &mut ChaCha8Rng,
        device: &Device,
    ) -> (Tensor<4>, Tensor<1, Int>) {
        let mut pixels = Vec::with_capacity(indices.len() * PIXELS);
        for &index in indices {
            let image = &self.images[index * PIXELS..][..PIXELS];
            // An index shifted below zero wraps to a huge one and is outside the image as well.
            let [down, right] = [0, 1].map(|_| below(rng, 3).wrapping_sub(1));
            for row in (0..SIDE).map(|row| row.wrapping_sub(down)) {
                for column in (0..SIDE).map(|column| column.wrapping_sub(right)) {
                    let inside = row < SIDE && column < SIDE;
                    let pixel = if inside { image[row * SIDE + column] } else { 0 };
                    pixels.push(f32::from(pixel) * INPUT_SCALE);
                }
            }
        }
        (image_tensor(pixels, device), self.labels_of(indices, device))
    }
}

fn image_tensor(pixels: Vec<f32>, device: &Device) -> Tensor<4> {
    let count = pixels.len() / PIXELS;
    Tensor::from_data(TensorData::new(pixels, [count, 1, SIDE, SIDE]), device)
}

/// Puts `items` into a random order (Fisher and Yates).
pub fn shuffle<T>(items: &mut [T], rng: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(rng, last + 1));
    }
}

/// A random number below `bound`; the bias of the modulo is below 2^-50 for the bounds used here.
fn below(rng: &mut ChaCha8Rng, bound: usize) -> usize {
    (rng.next_u64() % bound as u64) as usize
}
