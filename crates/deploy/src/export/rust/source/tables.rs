//! Calls of operations that look up or copy.

use super::*;

impl Printer<'_> {
    pub(super) fn lookup<T: ToString>(
        &self,
        width: usize,
        rust_type: &str,
        table: &[T],
    ) -> Printed {
        let zero_point = self.input(0).grid.zero_point;
        let own = format!("{width}, &nodes::{}::TABLE, {zero_point}", self.id);
        self.unary("lookup", &own, array("TABLE", rust_type, table))
    }

    pub(super) fn table<T: ToString>(
        &self,
        function: &str,
        rust_type: &str,
        table: &[T],
    ) -> Printed {
        let constants = array("TABLE", rust_type, table);
        self.replacing(function, &format!("&nodes::{}::TABLE", self.id), constants)
    }

    pub(super) fn constant(&self, data: &[u8]) -> Printed {
        let bytes: Vec<i8> = data.iter().map(|&byte| byte as i8).collect();
        let parts = self.parts(&[("y", Place::Output)]);
        let own = format!("&nodes::{}::VALUES", self.id);
        let call = call("reference::constant", &[&own, "y"]);
        Printed { constants: array("VALUES", "i8", &bytes), calls: parts + &call }
    }

    pub(super) fn concat(&self, chunks: &[usize]) -> Printed {
        let step: usize = chunks.iter().sum();
        let (mut offset, mut calls) = (0, String::new());
        for (index, chunk) in chunks.iter().enumerate() {
            let (x, y) = (self.input(index), self.output());
            calls.push_str(&self.parts(&[("x", Place::Input(index)), ("y", Place::Output)]));
            let own = format!("{chunk}, {offset}, {step}");
            calls.push_str(&call(
                "reference::concat",
                &[&own, &elements("x", x), &elements("y", y)],
            ));
            offset += chunk;
        }
        Printed { constants: String::new(), calls }
    }
}
