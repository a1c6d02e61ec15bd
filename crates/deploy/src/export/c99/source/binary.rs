//! Calls of operations of two values.

use super::*;

impl Printer<'_> {
    /// A function of two values; whether it takes strides even where nothing repeats.
    pub(super) fn elementwise(
        &self,
        (function, always_strided): (&str, bool),
        fields: &[String],
        broadcast: Broadcast,
        clamp: Clamp,
    ) -> Printed {
        let (a, b, output) = (self.input(0), self.input(1), self.output());
        let (b_length, strided) = match broadcast {
            Broadcast::None => (self.length(), false),
            Broadcast::Channels => (b.len(), false),
            Broadcast::Scalar => (1, false),
            Broadcast::Shapes { .. } => (b.len(), true),
        };
        let own = [
            field("length", self.length()),
            field("b_length", b_length),
            field("a_zero_point", a.grid.zero_point),
            field("b_zero_point", b.grid.zero_point),
            field("output_zero_point", output.grid.zero_point),
            clamp_field(clamp),
        ];
        let mut constants = self.parameters("bptq_elementwise", &[&own, fields].concat());
        let mut arguments = vec![self.op(), self.source(0), self.source(1), self.target()];
        if strided || always_strided {
            constants.push_str(&self.strides(broadcast));
            arguments.insert(1, format!("&{}", self.name("strides")));
        }
        let function = if strided && !always_strided {
            format!("{function}_strided")
        } else {
            function.to_owned()
        };
        Printed { constants, calls: self.call(&function, &arguments) }
    }

    /// `static NAME_CONST bptq_strides {id}_strides = {...};`
    pub(super) fn strides(&self, broadcast: Broadcast) -> String {
        let Strides { extents: output, a, b } =
            broadcast.strides(self.length(), self.input(1).len());
        let fields = [
            field("extent", extents(output)),
            field("a_step", extents(a)),
            field("b_step", extents(b)),
        ];
        let lines: String = fields.iter().map(|field| format!("    {field}\n")).collect();
        format!("static {} bptq_strides {} = {{\n{lines}}};\n", self.constant, self.name("strides"))
    }

    pub(super) fn binary(
        &self,
        function: BinaryFunction,
        broadcast: Broadcast,
        clamp: Clamp,
    ) -> Printed {
        let mut strided = true;
        let (name, fields) = match function {
            BinaryFunction::Sub(params) if wide_sum(&params, broadcast, clamp, false).is_some() => {
                strided = false;
                ("bptq_sub_plain", sum_fields(params).to_vec())
            }
            BinaryFunction::Sub(params) => ("bptq_sub", sum_fields(params).to_vec()),
            BinaryFunction::Div(factor) => ("bptq_div", vec![field("output", multiplier(factor))]),
            BinaryFunction::Prelu(params) => {
                let positive = field("a", multiplier(params.positive));
                ("bptq_prelu", vec![positive, field("b", multiplier(params.negative))])
            }
            BinaryFunction::Minimum => return self.extremum("bptq_minimum", broadcast),
            BinaryFunction::Maximum => return self.extremum("bptq_maximum", broadcast),
        };
        self.elementwise((name, strided), &fields, broadcast, clamp)
    }

    pub(super) fn extremum(&self, function: &str, broadcast: Broadcast) -> Printed {
        let strides = format!("&{}", self.name("strides"));
        let arguments = [strides, self.source(0), self.source(1), self.target()];
        Printed { constants: self.strides(broadcast), calls: self.call(function, &arguments) }
    }
}

pub(super) fn sum_fields(params: AddParams) -> [String; 4] {
    [
        field("left_shift", params.left_shift),
        field("a", multiplier(params.a)),
        field("b", multiplier(params.b)),
        field("output", multiplier(params.output)),
    ]
}
