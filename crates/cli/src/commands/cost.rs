//! Predicted costs, for the commands that print them.

use burn_ptq_eval::costs::Cost;

use crate::output::outln;
use crate::table;

/// Whether a model fits on a board, or what is missing, in words.
pub(super) fn fitting(cost: &Cost) -> String {
    let Some(missing) = cost.missing else { return "-".into() };
    let short =
        |bytes: usize, of: &str| (bytes > 0).then(|| format!("{} of {of}", table::bytes(bytes)));
    let parts = [short(missing.flash_bytes, "flash"), short(missing.ram_bytes, "RAM")];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    match parts.is_empty() {
        true => "yes".into(),
        false => format!("no, {} short", parts.join(" and ")),
    }
}

/// A number of instructions, or that it is not known.
pub(super) fn counted(instructions: Option<u64>) -> String {
    instructions.map_or("?".into(), |count| count.to_string())
}

/// Prints what is to be known about such figures.
pub(super) fn notes(costs: &[Cost]) -> anyhow::Result<()> {
    if costs.iter().any(|cost| cost.instructions.is_none()) {
        outln!(
            "\n? some kernel was never measured: `make count` in the export for that processor counts \
             instructions on QEMU"
        )?;
    }
    if costs.iter().any(|cost| cost.milliseconds.is_some()) {
        outln!(
            "\nMilliseconds are an estimate at one instruction a cycle: wait states of flash and loads add to it."
        )?;
    }
    if costs.iter().any(|cost| cost.missing.is_some()) {
        outln!(
            "\nWhat fits has all of a board's flash and RAM to itself: the rest of the firmware needs its share."
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use burn_ptq_eval::board::Missing;

    use super::*;

    #[test]
    fn what_does_not_fit_says_how_much_is_short() {
        let cost = Cost {
            board: Some("b"),
            target: "cortex-m0",
            flash_bytes: 1,
            constant_bytes: 0,
            code_bytes: 1,
            ram_bytes: 1,
            arena_bytes: 1,
            stack_bytes: 0,
            instructions: None,
            milliseconds: None,
            fits: None,
            missing: None,
        };
        assert_eq!(fitting(&cost), "-");
        for (flash_bytes, ram_bytes, words) in [
            (0, 0, "yes"),
            (1, 0, "no, 1 B of flash short"),
            (0, 20480, "no, 20.0 KiB of RAM short"),
            (2, 3, "no, 2 B of flash and 3 B of RAM short"),
        ] {
            let missing = Some(Missing { flash_bytes, ram_bytes });
            assert_eq!(fitting(&Cost { missing, ..cost.clone() }), words);
        }
    }
}
