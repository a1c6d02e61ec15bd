//! Sections of the page, and the bars in them.

use maud::{Markup, html};

/// A part of the page.
pub(super) struct Section {
    /// Its anchor.
    pub(super) id: &'static str,
    /// Its heading.
    pub(super) title: &'static str,
    /// Its content.
    pub(super) body: Markup,
}

/// A bar that fills a share of its box.
pub(super) fn bar(share: f64, class: &str) -> Markup {
    stacked(&[(share, class)])
}

/// A bar of several parts, one after the other, that fill shares of its box.
pub(super) fn stacked(parts: &[(f64, &str)]) -> Markup {
    let mut start = 0.0;
    let mut placed = Vec::new();
    for &(share, class) in parts {
        let width = (100.0 * share).clamp(0.0, 100.0 - start);
        placed.push((start, width, class));
        start += width;
    }
    html! {
        svg.bar viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
            @for (start, width, class) in placed {
                rect class=(class) x=(format!("{start:.2}")) width=(format!("{width:.2}")) height="8" {}
            }
        }
    }
}
