//! The scales of constants that were integers.

use std::collections::HashMap;
use std::rc::Rc;

use super::constants::Constant;

/// The distance between neighbouring numbers of constants that were integers, element by element.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// By address; the constant is kept, so that no other gets it.
    of: HashMap<*const Constant, (Rc<Constant>, Rc<Constant>)>,
}

impl Steps {
    /// Keeps the steps of `constant`.
    pub(super) fn insert(&mut self, constant: &Rc<Constant>, steps: Constant) {
        self.of.insert(Rc::as_ptr(constant), (Rc::clone(constant), Rc::new(steps)));
    }

    /// The steps of `constant`, if it has some.
    pub(super) fn get(&self, constant: &Rc<Constant>) -> Option<&Rc<Constant>> {
        self.of.get(&Rc::as_ptr(constant)).map(|(_, steps)| steps)
    }
}
