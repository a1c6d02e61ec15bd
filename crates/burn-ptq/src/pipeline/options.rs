//! How a quantizer is set up.

use super::*;

impl Quantizer {
    /// A quantizer that follows `recipe` and computes on Burn's default device.
    pub fn new(recipe: Recipe) -> Self {
        let provenance = Provenance {
            version: env!("CARGO_PKG_VERSION").into(),
            recipe: recipe.to_toml(),
            seed: recipe.seed,
            ..Default::default()
        };
        let watch = |_: &Value| Box::new(HistogramObserver::default()) as Box<dyn Observer>;
        let (device, watch) = (Device::default(), Arc::new(watch));
        let (preprocessings, classes) = (Vec::new(), (None, Vec::new()));
        Self {
            recipe,
            device,
            provenance,
            preprocessings,
            classes,
            rounding: None,
            keeps_all_channels: false,
            watch,
        }
    }

    /// The device that the networks run on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Computes on `device`.
    pub fn with_device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// Rounds weights by `rounding`, which replaces the recipe's; the program records its name.
    ///
    /// ```
    /// use burn_ptq::round::{Rounded, Rounding, RoundingProblem};
    /// use burn_ptq::{Quantizer, Recipe};
    ///
    /// struct TowardsZero;
    ///
    /// impl Rounding for TowardsZero {
    ///     fn needs_inputs(&self) -> bool {
    ///         false
    ///     }
    ///
    ///     fn is_random(&self) -> bool {
    ///         false
    ///     }
    ///
    ///     fn steps(&self) -> usize {
    ///         0
    ///     }
    ///
    ///     fn round(&self, problem: &RoundingProblem) -> Rounded {
    ///         let mut values = Vec::new();
    ///         for (channel, row) in problem.weight.rows().enumerate() {
    ///             let grid = problem.qparams.grid(channel);
    ///             let level = |w: &f32| (w / grid.scale).trunc() as i32;
    ///             values.extend(row.iter().map(|w| level(w).clamp(grid.min, grid.max) as i8));
    ///         }
    ///         Rounded { values, scales: problem.qparams.scales.clone() }
    ///     }
    /// }
    ///
    /// let quantizer = Quantizer::new(Recipe::preset("w8a8")?).with_rounding("zero", TowardsZero);
    /// # Ok::<(), burn_ptq::recipe::RecipeError>(())
    /// ```
    pub fn with_rounding(mut self, name: &str, rounding: impl Rounding + Send + 'static) -> Self {
        self.provenance.recipe.push_str(&format!("# rounding by a custom component: {name}\n"));
        self.rounding = Some(Arc::new(rounding));
        self
    }

    /// Keeps channels and operations in the integer program that cannot change its outputs, which
    /// [`simplified`](burn_ptq_deploy::program::Program::simplified) programs do without.
    pub fn keeping_all_channels(mut self) -> Self {
        self.keeps_all_channels = true;
        self
    }

    /// Watches every value that has a grid of its own by what `watch` makes for it; the program
    /// records the name.
    pub fn with_observer<O: Observer + 'static>(
        mut self,
        name: &str,
        watch: impl Fn(&Value) -> O + Send + Sync + 'static,
    ) -> Self {
        self.provenance.recipe.push_str(&format!("# observed by a custom component: {name}\n"));
        self.watch = Arc::new(move |value| Box::new(watch(value)));
        self
    }

    /// Records the hashes of the model and the calibration data in the program.
    pub fn with_hashes(mut self, model: String, calibration: String) -> Self {
        self.provenance.model_hash = model;
        self.provenance.calibration_hash = calibration;
        self
    }

    /// Records in the program how raw samples become the batches that it is calibrated with, for
    /// whoever evaluates or exports it. The batches themselves are taken as they are.
    pub fn with_preprocessing(self, preprocessing: Preprocessing) -> Self {
        self.with_preprocessings(vec![preprocessing])
    }

    /// The same for each input of the network, in order.
    pub fn with_preprocessings(mut self, preprocessings: Vec<Preprocessing>) -> Self {
        self.preprocessings = preprocessings;
        self
    }

    /// Records the names of the classes in the program, in the order of the elements of its only
    /// output.
    pub fn with_classes(mut self, classes: Vec<String>) -> Self {
        self.classes = (None, classes);
        self
    }

    /// The same for the output called `name`, of a network with several.
    pub fn with_classes_of(mut self, name: String, classes: Vec<String>) -> Self {
        self.classes = (Some(name), classes);
        self
    }
}
