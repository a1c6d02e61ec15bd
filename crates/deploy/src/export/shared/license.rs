//! License texts and the notice that every export carries.

use crate::export::ExportFile;

const MIT: &str = include_str!("../../../LICENSE-MIT");
const APACHE: &str = include_str!("../../../LICENSE-APACHE");
const NOTICE: &str = include_str!("../../../NOTICE.in");

/// The license texts of burn-ptq, in `folder`, which is empty or ends in a slash.
pub(crate) fn texts(folder: &str) -> [ExportFile; 2] {
    [("LICENSE-MIT", MIT), ("LICENSE-APACHE", APACHE)]
        .map(|(name, text)| ExportFile::text(format!("{folder}{name}"), text))
}

/// The license texts, and a notice of which parts are burn-ptq's: all but the network in the files
/// `generated`.
pub(crate) fn files(generated: &[&str]) -> Vec<ExportFile> {
    let notice = NOTICE.replace("@GENERATED@", &generated.join(", "));
    texts("").into_iter().chain([ExportFile::text("NOTICE", notice)]).collect()
}
