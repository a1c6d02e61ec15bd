//! Random recipes out of every component that is registered, with settings that take little time.

use burn_ptq::recipe::catalogue::stages;
use burn_ptq::round::RoundingChoice;

use crate::generate::Random;

/// A recipe for a network of which `has_batch_norm` says whether data can be made.
pub(crate) fn recipe(seed: u64, number: u64, has_batch_norm: bool) -> String {
    let mut random = Random::new(seed ^ 0x5EED, number);
    let weights = *random.pick(&[8, 8, 8, 4, 4, 2, 3, 5, 6, 7]);
    let activations = *random.pick(&[8, 8, 8, 8, 16, 4, 2, 3, 5, 6, 7]);
    let border = *random.pick(&[8, 8, 8, 8, 8, 16, 4, 2, 3, 6]);
    let mut text = format!("seed = {}\n", random.below(1000));
    if random.once_in(5) {
        text.push_str(&format!("first_last_bits = {}\n", random.within(2, 8)));
    }
    let power_of_two = random.once_in(10);
    text.push_str(&format!(
        "weights.bits = {weights}\nweights.power_of_two = {power_of_two}\n\
         activations.bits = {activations}\nactivations.border_bits = {border}\n\
         activations.power_of_two = {}\n",
        random.once_in(10)
    ));
    if random.once_in(3) {
        let gates = *random.pick(&[8, 8, 4, 6]);
        text.push_str(&format!("activations.gate_bits = {gates}\n"));
    }
    if random.once_in(4) {
        text.push_str("weights.granularity = 'per-tensor'\n");
    }
    if random.once_in(4) {
        text.push_str(&format!("layerwise.fit_bias = {}\n", random.once_in(2)));
    }
    for stage in stages() {
        let names: Vec<&str> = stage.components.iter().map(|c| c.name).collect();
        let plain = if stage.key == "rounding" || stage.key.ends_with("range") { 4 } else { 2 };
        if names.is_empty() || random.once_in(plain) {
            continue;
        }
        let name = *random.pick(&names);
        if name == "data-free" && !(has_batch_norm && random.once_in(3))
            || name == "affine" && power_of_two
            || name == "lapq" && !random.once_in(3)
        {
            continue;
        }
        let value = cheap(name);
        let value = if stage.key == "conditioning" { format!("[{value}]") } else { value };
        text.push_str(&format!("{} = {value}\n", stage.key));
    }
    if random.once_in(6) {
        let granularity = *random.pick(&["layer", "block", "block-pairs", "network"]);
        let rounding = *random.pick(&["straight-through", "adaround"]);
        text.push_str(&format!(
            "reconstruction.granularity = '{granularity}'\nreconstruction.iterations = 3\n\
             reconstruction.batch = 4\nreconstruction.rounding = '{rounding}'\n"
        ));
    }
    if random.once_in(6) {
        let bits = *random.pick(&[2, 4, 8, 16]);
        text.push_str(&format!("[[layer]]\nname = '*'\nactivations = {bits}\n"));
    }
    text
}

/// A component by its name, or with fewer steps than by default.
fn cheap(name: &str) -> String {
    let trains = |r: &RoundingChoice| r.name() == name && r.component().steps() > 0;
    let parameters = match name {
        _ if RoundingChoice::all().iter().any(trains) => "iterations = 5",
        "lapq" => "samples = 8, evaluations = 3",
        "data-free" => "samples = 16, steps = 3",
        _ => return format!("'{name}'"),
    };
    format!("{{ {name} = {{ {parameters} }} }}")
}
