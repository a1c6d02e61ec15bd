//! Operators that copy some elements of a value, perhaps several times.

use onnx_ir::{AttributeProto, AttributeType};

use super::{Builder, Named};
use crate::build::int;

impl Builder {
    pub(super) fn movement(&mut self, x: Named) -> Named {
        match self.random.below(9) {
            0 => self.slice(x),
            1 => self.split(x),
            2 => self.gather(x),
            3 => self.tile(x),
            4 if x.1.len() > 1 => self.resize(x),
            5 if x.1.len() == 3 => self.blocks(x),
            6 => self.mirror(x),
            _ => self.shuffle(x),
        }
    }

    /// Some steps of an axis, forwards or backwards.
    fn slice(&mut self, (x, mut shape): Named) -> Named {
        let axis = self.random.below(shape.len());
        let extent = shape[axis];
        let step = self.random.within(1, 2);
        let start = self.random.below(extent);
        let end = self.random.within(start + 1, extent);
        shape[axis] = (end - start).div_ceil(step);
        let backwards = self.random.once_in(3);
        let bounds = if backwards {
            // The element before the first has no index that does not count from the end.
            [end as i64 - 1, start as i64 - 1 - if start == 0 { extent as i64 } else { 0 }]
        } else {
            [start as i64, end as i64]
        };
        let step = if backwards { -(step as i64) } else { step as i64 };
        let lists = [bounds[0], bounds[1], axis as i64 + 1, step].map(|v| self.list(&[v]));
        let [start, end, axis, step] = lists.each_ref().map(String::as_str);
        self.push("Slice", &[&x, start, end, axis, step], vec![], shape)
    }

    /// Two parts, the second in front of the first again, or one of them.
    fn split(&mut self, (x, shape): Named) -> Named {
        let axis = self.random.below(shape.len());
        if shape[axis] == 1 {
            return self.slice((x, shape));
        }
        let first = self.random.within(1, shape[axis] - 1);
        let sizes = self.list(&[first as i64, (shape[axis] - first) as i64]);
        let along = vec![int("axis", axis as i64 + 1)];
        let (mut head, mut tail) = (shape.clone(), shape.clone());
        (head[axis], tail[axis]) = (first, shape[axis] - first);
        let a = self.push("Split", &[&x, &sizes], along.clone(), head);
        let b = self.name();
        self.nodes.last_mut().expect("the split").output.push(b.clone());
        match self.random.below(3) {
            0 => self.activation((b, tail)),
            1 => {
                let b = self.activation((b, tail));
                self.push("Concat", &[&b.0, &a.0], along, shape)
            }
            _ => self.push("Concat", &[&b, &a.0], along, shape),
        }
    }

    fn gather(&mut self, (x, mut shape): Named) -> Named {
        let axis = self.random.below(shape.len());
        let count = self.random.within(1, 4);
        let extent = shape[axis];
        let indices: Vec<i64> =
            (0..count).map(|_| self.random.below(2 * extent) as i64 - extent as i64).collect();
        shape[axis] = count;
        let indices = self.list(&indices);
        self.push("Gather", &[&x, &indices], vec![int("axis", axis as i64 + 1)], shape)
    }

    fn tile(&mut self, (x, mut shape): Named) -> Named {
        let mut repeats = vec![1; shape.len() + 1];
        let axis = self.random.below(shape.len());
        repeats[axis + 1] = 2;
        shape[axis] *= 2;
        let repeats = self.list(&repeats);
        self.push("Tile", &[&x, &repeats], vec![], shape)
    }

    fn resize(&mut self, (x, mut shape): Named) -> Named {
        let mut scales = vec![1.0; shape.len() + 1];
        for axis in 1..shape.len() {
            let scale = *self.random.pick(&[0.5, 1.0, 1.5, 2.0]);
            let extent = (shape[axis] as f32 * scale) as usize;
            if extent > 0 {
                (scales[axis + 1], shape[axis]) = (scale, extent);
            }
        }
        let name = format!("c{}", self.tensors.len());
        self.constant(&name, &[scales.len()], scales);
        self.push("Resize", &[&x, "", &name], vec![], shape)
    }

    fn blocks(&mut self, (x, shape): Named) -> Named {
        let [channels, height, width] = [shape[0], shape[1], shape[2]];
        let block = vec![int("blocksize", 2)];
        if channels % 4 == 0 {
            let out = vec![channels / 4, 2 * height, 2 * width];
            self.push("DepthToSpace", &[&x], block, out)
        } else if height % 2 == 0 && width % 2 == 0 {
            let out = vec![4 * channels, height / 2, width / 2];
            self.push("SpaceToDepth", &[&x], block, out)
        } else {
            self.mirror((x, shape))
        }
    }

    /// Padding by the sample's own elements.
    fn mirror(&mut self, (x, mut shape): Named) -> Named {
        let axis = self.random.below(shape.len());
        let mut pads = vec![0_i64; 2 * shape.len() + 2];
        let most = (shape[axis] - 1).min(2);
        for side in 0..2 {
            let pad = self.random.within(0, most);
            pads[side * (shape.len() + 1) + axis + 1] = pad as i64;
            shape[axis] += pad;
        }
        let pads = self.list(&pads);
        let mode = AttributeProto {
            name: "mode".into(),
            type_: AttributeType::STRING.into(),
            s: self.random.pick(&["reflect", "edge"]).as_bytes().to_vec().into(),
            ..Default::default()
        };
        self.push("Pad", &[&x, &pads], vec![mode], shape)
    }

    /// The channels of two groups in turn, by way of one more axis.
    fn shuffle(&mut self, (x, shape): Named) -> Named {
        if !shape[0].is_multiple_of(2) {
            return self.gather((x, shape));
        }
        let mut groups = shape.clone();
        groups.splice(..1, [2, shape[0] / 2]);
        let mut turned = groups.clone();
        turned.swap(0, 1);
        let mut perm: Vec<i64> = (0..=groups.len() as i64).collect();
        perm.swap(1, 2);
        let target = |shape: &[usize]| {
            [0].into_iter().chain(shape.iter().map(|&d| d as i64)).collect::<Vec<i64>>()
        };
        let (apart, together) = (self.list(&target(&groups)), self.list(&target(&shape)));
        let x = self.push("Reshape", &[&x, &apart], vec![], groups);
        let perm = crate::build::ints("perm", &perm);
        let x = self.push("Transpose", &[&x.0], vec![perm], turned);
        self.push("Reshape", &[&x.0, &together], vec![], shape)
    }
}
