//! Linear interpolation: `Resize` where its positions are the program's, else products with the weights of
//! neighbours.

use burn_ptq_kernels::reference::POSITION_BITS;

use super::form::Form;
use super::graph::{Graph, whole};
use super::schema::Value;
use crate::program::TensorId;

/// One element's distance to the next.
const UNIT: u32 = 1 << POSITION_BITS;

/// Writes `[height, width, channels]` at other rows and columns.
pub(super) fn translate(
    graph: &mut Graph,
    shape: [usize; 3],
    positions: [&[u32]; 2],
    [x, y]: [TensorId; 2],
) {
    let output = graph.of(y);
    let source = graph.float(x, &Form::planes(shape));
    let [rows, columns] = positions.map(<[u32]>::len);
    let mode = MODES.into_iter().find(|(mode, _)| {
        positions.into_iter().zip(shape).all(|(positions, extent)| gives(*mode, positions, extent))
    });
    let value = match mode {
        Some((_, mode)) => {
            let scales = scales([shape[0], shape[1]], [rows, columns]);
            let scales = graph.reals("scales", &[4], &scales);
            let attributes = vec![
                ("coordinate_transformation_mode", Value::Text(mode)),
                ("mode", Value::Text("linear")),
            ];
            graph.operator("Resize", &[&source, "", &scales], attributes)
        }
        None => {
            let weights = neighbours(positions[0], shape[0], false);
            let weights = graph.reals("rows", &[rows, shape[0]], &weights);
            let value = graph.operator("MatMul", &[&weights, &source], Vec::new());
            let weights = neighbours(positions[1], shape[1], true);
            let weights = graph.reals("columns", &[shape[1], columns], &weights);
            graph.operator("MatMul", &[&value, &weights], Vec::new())
        }
    };
    graph.write(y, value, Form::planes([rows, columns, shape[2]]), whole(output));
}

/// The factors of the extents of planes: ONNX Runtime does not move the axes along that sizes may name.
pub(super) fn scales(from: [usize; 2], to: [usize; 2]) -> [f32; 4] {
    let [rows, columns] = [0, 1].map(|axis| {
        let factor = to[axis] as f32 / from[axis] as f32;
        let reached = (from[axis] as f32 * factor) as usize;
        if reached < to[axis] { factor.next_up() } else { factor }
    });
    [1.0, 1.0, rows, columns]
}

/// Where an operator places elements.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    HalfPixel,
    Asymmetric,
    Corners,
}

const MODES: [(Mode, &str); 3] = [
    (Mode::HalfPixel, "half_pixel"),
    (Mode::Asymmetric, "asymmetric"),
    (Mode::Corners, "align_corners"),
];

/// Whether a mode places the elements of an axis exactly so.
fn gives(mode: Mode, positions: &[u32], extent: usize) -> bool {
    let count = positions.len() as f64;
    let ratio = extent as f64 / count;
    let last = extent.saturating_sub(1) as f64;
    positions.iter().enumerate().all(|(index, &position)| {
        let index = index as f64;
        let real = match mode {
            Mode::HalfPixel => (index + 0.5) * ratio - 0.5,
            Mode::Asymmetric => index * ratio,
            Mode::Corners if positions.len() > 1 => index * last / (count - 1.0),
            Mode::Corners => 0.0,
        };
        real.clamp(0.0, last) * f64::from(UNIT) == f64::from(position)
    })
}

/// The weights of elements at positions: a row for each position, or a column.
fn neighbours(positions: &[u32], extent: usize, turned: bool) -> Vec<f32> {
    let mut weights = vec![0.0; positions.len() * extent];
    for (index, &position) in positions.iter().enumerate() {
        let before = ((position / UNIT) as usize).min(extent.saturating_sub(1));
        let behind = (before + 1).min(extent.saturating_sub(1));
        let share = (position % UNIT) as f32 / UNIT as f32;
        for (at, weight) in [(before, 1.0 - share), (behind, share)] {
            let place = if turned { at * positions.len() + index } else { index * extent + at };
            if let Some(own) = weights.get_mut(place) {
                *own += weight;
            }
        }
    }
    weights
}
