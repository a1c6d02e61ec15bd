//! Tensors of a file as values of an ONNX graph.

/// How the axes of an image lie in a value; of other tensors there is one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// As in the file: batch, height, width, channels.
    Last,
    /// As in ONNX: batch, channels, height, width.
    First,
}

impl Order {
    /// The axis of an image in this order that is `axis` in the file.
    pub(super) fn axis(self, axis: usize) -> usize {
        match self {
            Self::Last => axis,
            Self::First => TO_LAST.get(axis).copied().unwrap_or(axis),
        }
    }

    /// What belongs to each axis of an image in the file, in this order.
    pub(super) fn arrange<T: Copy>(self, of_axes: &[T]) -> Vec<T> {
        match self {
            Self::Last => of_axes.to_vec(),
            Self::First if of_axes.len() == TO_FIRST.len() => {
                TO_FIRST.map(|axis| of_axes[axis]).to_vec()
            }
            Self::First => of_axes.to_vec(),
        }
    }
}

/// The axes of the file that those of a value with channels in front are.
pub(super) const TO_FIRST: [usize; 4] = [0, 3, 1, 2];

/// The axes of a value with channels in front that those of the file are.
pub(super) const TO_LAST: [usize; 4] = [0, 2, 3, 1];

/// The values that hold a tensor, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    last: Option<String>,
    first: Option<String>,
}

impl Held {
    pub(super) fn of(order: Order, name: String) -> Self {
        let mut held = Self::default();
        held.set(order, name);
        held
    }

    pub(super) fn set(&mut self, order: Order, name: String) {
        match order {
            Order::Last => self.last = Some(name),
            Order::First => self.first = Some(name),
        }
    }

    pub(super) fn get(&self, order: Order) -> Option<&String> {
        match order {
            Order::Last => self.last.as_ref(),
            Order::First => self.first.as_ref(),
        }
    }
}
