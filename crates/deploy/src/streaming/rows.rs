//! Rows of earlier calls.

use std::ops::Range;

use super::build::Builder;
use super::layout::Layout;
use super::values::Rows;
use crate::movement::MoveAxis;
use crate::op::IntOp;
use crate::program::{IntNode, IntTensor, State, TensorId};

impl Builder<'_> {
    /// The new rows behind `history` earlier ones, which hold `padding` before the recording.
    pub(super) fn with_history(&mut self, rows: Rows, history: usize, padding: i32) -> TensorId {
        if history == 0 {
            return rows.id;
        }
        if let Some(&kept) = self.histories.get(&(rows.id, history, padding)) {
            return kept;
        }
        let Layout { outer, rows: new, inner } = rows.layout;
        let like = self.out.tensors[rows.id.0].clone();
        let named = |what: &str| format!("{}/{what}", like.name);
        let shaped = |count: usize, name: String| IntTensor {
            name,
            shape: rows.layout.with_rows(count).shape(like.shape, new),
            ..like.clone()
        };
        let earlier = self.tensor(shaped(history, named("earlier")));
        let kept = self.tensor(shaped(history + new, named("rows")));
        let chunks = vec![history * inner, new * inner];
        let name = self.free_name(&named("rows"));
        self.out.nodes.push(IntNode {
            name,
            op: IntOp::Concat { outer, chunks },
            inputs: vec![earlier, rows.id],
            output: kept,
        });
        let all = rows.layout.with_rows(history + new);
        let next = self.part(kept, all, new..new + history, &named("next"));
        let name = self.free_name(&named("earlier"));
        self.out.states.push(State { name, input: earlier, output: next, initial: padding });
        self.histories.insert((rows.id, history, padding), kept);
        kept
    }

    /// Some of the rows of an activation of the layout `all`.
    pub(super) fn part(
        &mut self,
        id: TensorId,
        all: Layout,
        rows: Range<usize>,
        name: &str,
    ) -> TensorId {
        let like = self.out.tensors[id.0].clone();
        let shape = all.with_rows(rows.len()).shape(like.shape, all.rows);
        let output = self.tensor(IntTensor { name: name.to_owned(), shape, ..like });
        let run = MoveAxis::Even { count: rows.len() * all.inner, step: 1 };
        let mut axes = vec![run];
        if all.outer > 1 {
            let step = (all.rows * all.inner) as isize;
            axes.insert(0, MoveAxis::Even { count: all.outer, step });
        }
        let op = IntOp::Rearrange { first: rows.start * all.inner, axes };
        let name = self.free_name(name);
        self.out.nodes.push(IntNode { name, op, inputs: vec![id], output });
        output
    }

    /// A tensor like `id` of the source, with the rows of `layout` in place of `time`.
    pub(super) fn rows_like(&mut self, id: TensorId, layout: Layout, time: usize) -> TensorId {
        let like = &self.source.tensors[id.0];
        let shape = layout.shape(like.shape, time);
        self.tensor(IntTensor { shape, ..like.clone() })
    }

    pub(super) fn tensor(&mut self, tensor: IntTensor) -> TensorId {
        self.out.tensors.push(tensor);
        TensorId(self.out.tensors.len() - 1)
    }

    /// `name`, or one like it that no node has.
    fn free_name(&mut self, name: &str) -> String {
        let mut names = std::iter::once(name.to_owned())
            .chain((2_usize..).map(|count| format!("{name}{count}")));
        let free = names.find(|name| !self.names.contains(name)).unwrap_or_default();
        self.names.insert(free.clone());
        free
    }
}
