//! The network as a graph from the inputs down to the outputs.

use maud::{Markup, html};

use super::layered::{Drawing, Place, arrange};
use super::layers::Layer;
use super::number::Unit;
use super::section::Section;
use super::view::View;
use crate::plot::{n, shorten, sized};

/// Networks of more boxes are drawn with one box for each chain of layers.
const MOST_SINGLE: usize = 60;

/// With more boxes than this, a drawing tells nothing.
const MOST_BOXES: usize = 400;

/// The size of a box, and the space below it.
const WIDTH: f64 = 124.0;
const HEIGHT: f64 = 30.0;
const SPACE: f64 = 16.0;

/// The most characters of a name in a box.
const NAME: usize = 21;

/// What stands in a box: an input, an output, or layers that follow each other.
struct Node {
    first: End,
    /// The last layer of a chain.
    last: Option<usize>,
}

/// An input, a layer or an output, by index.
#[derive(Clone, Copy)]
enum End {
    Input(usize),
    Layer(usize),
    Output(usize),
}

/// The boxes and the edges between them, which lead to later boxes.
struct Network {
    nodes: Vec<Node>,
    edges: Vec<(usize, usize)>,
}

impl Network {
    fn new(report: &View, layers: &[Layer]) -> Self {
        let inputs = report.list("inputs").len();
        let outputs = report.list("outputs");
        let single = |first| Node { first, last: None };
        let mut nodes: Vec<Node> = (0..inputs).map(|i| single(End::Input(i))).collect();
        nodes.extend((0..layers.len()).map(|i| single(End::Layer(i))));
        nodes.extend((0..outputs.len()).map(|i| single(End::Output(i))));
        // The box of what a value comes from.
        let source = |from: &View| {
            let layer = from.index_of("layer").map(|layer| inputs + layer);
            layer.or_else(|| from.index_of("input"))
        };
        let mut edges = Vec::new();
        for (at, layer) in layers.iter().enumerate() {
            let sources = layer.view.list("inputs");
            edges.extend(sources.iter().filter_map(source).map(|from| (from, inputs + at)));
        }
        for (at, output) in outputs.iter().enumerate() {
            let from = output.get("from");
            let to = inputs + layers.len() + at;
            edges.extend(from.as_ref().and_then(source).map(|from| (from, to)));
        }
        let count = nodes.len();
        edges.retain(|&(from, to)| from < to && to < count);
        edges.sort_unstable();
        edges.dedup();
        Self { nodes, edges }
    }

    /// The same with one box for each chain of layers of which each alone reads the one before.
    fn compact(self) -> Self {
        let (mut into, mut out) = (vec![0; self.nodes.len()], vec![0; self.nodes.len()]);
        for &(from, to) in &self.edges {
            out[from] += 1;
            into[to] += 1;
        }
        let is_layer = |node: usize| matches!(self.nodes[node].first, End::Layer(_));
        let joined = |&&(from, to): &&(usize, usize)| {
            is_layer(from) && is_layer(to) && out[from] == 1 && into[to] == 1
        };
        // Edges are sorted, so that the start of a chain is known before its next layer.
        let mut start: Vec<usize> = (0..self.nodes.len()).collect();
        for &(from, to) in self.edges.iter().filter(joined) {
            start[to] = start[from];
        }
        let mut place = vec![0; self.nodes.len()];
        let mut nodes: Vec<Node> = Vec::new();
        for (index, node) in self.nodes.into_iter().enumerate() {
            if start[index] == index {
                place[index] = nodes.len();
                nodes.push(node);
            } else if let End::Layer(layer) = node.first {
                place[index] = place[start[index]];
                nodes[place[index]].last = Some(layer);
            }
        }
        let edges = self.edges.iter().map(|&(from, to)| (place[from], place[to]));
        let mut edges: Vec<(usize, usize)> = edges.filter(|(from, to)| from < to).collect();
        edges.sort_unstable();
        edges.dedup();
        Self { nodes, edges }
    }
}

pub(super) fn section(report: &View, layers: &[Layer]) -> Option<Section> {
    let has_edges = layers.iter().any(|layer| layer.view.get("inputs").is_some());
    if !has_edges {
        return None;
    }
    let mut network = Network::new(report, layers);
    let mut chains = false;
    if network.nodes.len() > MOST_SINGLE {
        (network, chains) = (network.compact(), true);
    }
    let harmful = layers.iter().any(|layer| layer.hurt.is_some());
    let body = html! {
        @if network.nodes.len() > MOST_BOXES {
            p.note { "The network is too large to be drawn: the JSON has what each layer reads." }
        } @else {
            p.note {
                "From the inputs down to the outputs."
                @if harmful {
                    " The darker a box, the "
                    @if report.get("explain").is_some() { "more sensitive the layer." }
                    @else { "noisier the layer’s output." }
                }
                @if chains { " A box is a chain of layers: its first and its last are named." }
            }
            figure.graph { div.scroll { (drawn(report, layers, &network)) } }
        }
    };
    Some(Section { id: "network", title: "The network as a graph", body })
}

fn drawn(report: &View, layers: &[Layer], network: &Network) -> Markup {
    let widths = vec![WIDTH; network.nodes.len()];
    let Drawing { boxes, edges, width, height } = arrange(&widths, HEIGHT, SPACE, &network.edges);
    let (inputs, outputs) = (report.list("inputs"), report.list("outputs"));
    let body = html! {
        g transform="translate(2 2)" {
            @for edge in &edges { path.flow d=(curve(edge)) {} }
            @for (node, place) in network.nodes.iter().zip(&boxes) {
                @match node.first {
                    End::Input(at) => { (end(inputs.get(at), "input", *place)) }
                    End::Output(at) => { (end(outputs.get(at), "output", *place)) }
                    End::Layer(at) => { (layer(layers, at, node.last, *place)) }
                }
            }
        }
    };
    let (width, height) = (width + 4.0, height + 4.0);
    let alt =
        "the layers of the network and what each reads; the table of layers has their numbers";
    html! {
        div style=(format!("width:{width:.0}px;max-width:none;margin:auto")) {
            (sized(width, height, &body, alt))
        }
    }
}

/// A line through places that bends between them.
fn curve(places: &[Place]) -> String {
    let mut path = String::new();
    for (at, &(x, y)) in places.iter().enumerate() {
        match at.checked_sub(1).map(|before| places[before]) {
            None => path.push_str(&format!("M{x:.1} {y:.1}")),
            Some((from, _)) if (from - x).abs() < 0.05 => path.push_str(&format!("V{y:.1}")),
            Some((from, top)) => {
                let middle = (top + y) / 2.0;
                path.push_str(&format!("C{from:.1} {middle:.1} {x:.1} {middle:.1} {x:.1} {y:.1}"));
            }
        }
    }
    path
}

fn end(view: Option<&View>, role: &str, (x, y): Place) -> Markup {
    let name = view.map_or_else(Default::default, |view| view.text_of("name"));
    html! {
        g {
            title { (name) }
            rect.box x=(n(x - WIDTH / 2.0)) y=(n(y)) width=(n(WIDTH)) height=(n(HEIGHT)) rx="15"
                fill="#fff" {}
            text.small x=(n(x)) y=(n(y + 12.5)) text-anchor="middle" { (shorten(&name, NAME)) }
            text.tiny x=(n(x)) y=(n(y + 23.5)) text-anchor="middle" { (role) }
        }
    }
}

fn layer(layers: &[Layer], first: usize, last: Option<usize>, (x, y): Place) -> Markup {
    let chain = &layers[first..=last.unwrap_or(first)];
    let hurt = chain.iter().filter_map(|layer| layer.hurt).fold(0.0, f64::max);
    let worst = chain.iter().any(|layer| layer.worst);
    let Some(head) = chain.first() else { return html! {} };
    html! {
        g {
            title { (head.name) @if let Some(last) = last { " … " (layers[last].name) } }
            rect x=(n(x - WIDTH / 2.0)) y=(n(y)) width=(n(WIDTH)) height=(n(HEIGHT)) rx="3"
                fill="#fff" {}
            rect.box x=(n(x - WIDTH / 2.0)) y=(n(y)) width=(n(WIDTH)) height=(n(HEIGHT)) rx="3"
                fill="#D55E00" fill-opacity=(format!("{:.2}", 0.72 * hurt))
                stroke-width=(if worst { "2" } else { "1" }) {}
            text.small x=(n(x)) y=(n(y + 12.5)) text-anchor="middle" { (shorten(&head.name, NAME)) }
            text.tiny x=(n(x)) y=(n(y + 23.5)) text-anchor="middle" {
                @match last {
                    Some(last) => { "… " (shorten(&layers[last].name, NAME)) }
                    None => { (described(head)) }
                }
            }
        }
    }
}

/// A layer's operation and its bits.
fn described(layer: &Layer) -> Markup {
    html! {
        (shorten(&layer.view.text_of("op"), NAME))
        @if let Some(bits) = layer.bits() { ", W" (bits.draw(Unit::Count)) }
        @if let Some(bits) = layer.view.get("activation_bits") { " A" (bits.draw(Unit::Count)) }
    }
}
