//! The same computation without loops.

use burn_ptq_deploy::program::{IntNode, IntOp, IntTensor, MoveAxis, Program, TensorId};

/// The program with the nodes of each loop once for every step, one after the other.
pub(crate) fn unrolled(program: &Program) -> Program {
    let mut flat = Program { nodes: Vec::new(), loops: Vec::new(), ..program.clone() };
    let mut index = 0;
    while index < program.nodes.len() {
        let Some(own) = program.loop_of(index) else {
            flat.nodes.push(program.nodes[index].clone());
            index += 1;
            continue;
        };
        // What stands for each tensor of the loop in the step that is written.
        let mut now: Vec<TensorId> = (0..program.tensors.len()).map(TensorId).collect();
        // The parts of each sequence that steps put, in their order.
        let mut parts: Vec<(TensorId, bool, Vec<TensorId>)> = Vec::new();
        for step in 0..own.steps {
            let last = step + 1 == own.steps;
            for node in &program.nodes[own.nodes()] {
                let inputs: Vec<TensorId> = node.inputs.iter().map(|id| now[id.0]).collect();
                if let IntOp::Step { put: true, reverse } = node.op {
                    match parts.iter_mut().find(|part| part.0 == node.output) {
                        Some(part) => part.2.push(inputs[0]),
                        None => parts.push((node.output, reverse, inputs)),
                    }
                    continue;
                }
                let mut op = node.op.clone();
                if let IntOp::Step { reverse, .. } = op {
                    let at = if reverse { own.steps - 1 - step } else { step };
                    let count = program.tensors[node.output.0].len();
                    let axes = vec![MoveAxis::Even { count, step: 1 }];
                    op = IntOp::Rearrange { first: at * count, axes };
                }
                let output = match last {
                    true => node.output,
                    false => {
                        let like = program.tensors[node.output.0].clone();
                        let name = format!("{}.{step}", like.name);
                        flat.tensors.push(IntTensor { name, ..like });
                        TensorId(flat.tensors.len() - 1)
                    }
                };
                now[node.output.0] = output;
                flat.nodes.push(IntNode { name: node.name.clone(), op, inputs, output });
            }
            for carried in &own.carried {
                now[carried.held.0] = now[carried.next.0];
            }
        }
        for (output, reverse, mut parts) in parts {
            if reverse {
                parts.reverse();
            }
            let chunk = program.tensors[output.0].len() / own.steps;
            let op = IntOp::Concat { outer: 1, chunks: vec![chunk; own.steps] };
            let name = program.tensors[output.0].name.clone();
            flat.nodes.push(IntNode { name, op, inputs: parts, output });
        }
        index = own.nodes().end;
    }
    flat
}
