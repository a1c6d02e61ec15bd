//! Rows of a table that ids choose.

use super::*;

impl Lowering<'_> {
    /// The ids in the source's order, and the rows behind them.
    pub(super) fn lookup(&mut self, node: &Node, op: &Lookup) -> Result<(), LowerError> {
        if self.grid(node.inputs[0]).scale != 1.0 {
            let problem =
                "its ids share a grid with values that are not ids; feed them by an input of \
                           their own"
                    .into();
            return Err(LowerError::Unsupported { node: node.name.clone(), problem });
        }
        let (grid, width) = (self.grid(node.output), op.width());
        let table = op.table.data.iter().map(|&x| grid.quantize(x));
        let int = match self.is_wide(node.output) {
            false => IntOp::Lookup8 { width, table: table.map(|q| q as i8).collect() },
            true => IntOp::Lookup16 { width, table: table.map(|q| q as i16).collect() },
        };
        let ids = self.arranged(node.inputs[0], SOURCE).tensor;
        let dims = self.graph.value(node.output).dims();
        let view = self.tensor(node.output, dims, SOURCE);
        self.push(&node.name, int, vec![ids], view.tensor);
        self.views[node.output.0] = Some(view);
        Ok(())
    }
}
