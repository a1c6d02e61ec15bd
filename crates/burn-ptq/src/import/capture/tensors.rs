//! The inputs and outputs of a `forward`: a tensor, or a tuple of them.

use burn::backend::Capture;
use burn::backend::ir::TensorId;
use burn::tensor::{Device, Int, Tensor};

use crate::graph::Batch;

/// What a captured `forward` takes or gives: a tensor of floats or integers, or a tuple of up to six.
pub trait Tensors: Clone + sealed::Sealed {
    /// How many tensors there are.
    const COUNT: usize;

    /// The samples of all of them as [`Quantizer::quantize_samples`](crate::Quantizer::quantize_samples)
    /// takes them; the first axis is the batch.
    ///
    /// # Panics
    /// If their batches are not equally large.
    fn into_batch(self) -> Batch {
        let counts: Vec<usize> = self.parts().iter().map(|part| part.shape[0]).collect();
        Batch::of_parts(self.values(), &counts)
    }

    #[doc(hidden)]
    fn parts(&self) -> Vec<Part>;

    /// The elements of each tensor.
    #[doc(hidden)]
    fn values(self) -> Vec<Vec<f32>>;

    #[doc(hidden)]
    fn without_autodiff(self) -> Self;

    #[doc(hidden)]
    fn to_device(self, device: &Device) -> Self;

    /// Their ids on a capture device.
    #[doc(hidden)]
    fn ids(self) -> Result<Vec<TensorId>, String>;
}

/// What is known of a tensor.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Part {
    pub shape: Vec<usize>,
    pub device: Device,
    pub is_integer: bool,
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! of_kind {
    ($tensor:ty, $is_integer:literal) => {
        impl<const D: usize> sealed::Sealed for $tensor {}

        impl<const D: usize> Tensors for $tensor {
            const COUNT: usize = 1;

            fn parts(&self) -> Vec<Part> {
                let (shape, device) = (self.dims().to_vec(), self.device());
                vec![Part { shape, device, is_integer: $is_integer }]
            }

            fn values(self) -> Vec<Vec<f32>> {
                vec![self.into_data().iter::<f32>().collect()]
            }

            fn without_autodiff(self) -> Self {
                <$tensor>::without_autodiff(self)
            }

            fn to_device(self, device: &Device) -> Self {
                <$tensor>::to_device(self, device)
            }

            fn ids(self) -> Result<Vec<TensorId>, String> {
                let primitive = self.try_into_primitive::<Capture>();
                Ok(vec![primitive.map_err(|e| format!("{e:?}"))?.id()])
            }
        }
    };
}

of_kind!(Tensor<D>, false);
of_kind!(Tensor<D, Int>, true);

macro_rules! tuples {
    ($($name:ident),*) => {
        impl<$($name: Tensors),*> sealed::Sealed for ($($name,)*) {}

        #[allow(non_snake_case)]
        impl<$($name: Tensors),*> Tensors for ($($name,)*) {
            const COUNT: usize = 0 $(+ $name::COUNT)*;

            fn parts(&self) -> Vec<Part> {
                let ($($name,)*) = self;
                let mut parts = Vec::new();
                $(parts.extend($name.parts());)*
                parts
            }

            fn values(self) -> Vec<Vec<f32>> {
                let ($($name,)*) = self;
                let mut values = Vec::new();
                $(values.extend($name.values());)*
                values
            }

            fn without_autodiff(self) -> Self {
                let ($($name,)*) = self;
                ($($name.without_autodiff(),)*)
            }

            fn to_device(self, device: &Device) -> Self {
                let ($($name,)*) = self;
                ($($name.to_device(device),)*)
            }

            fn ids(self) -> Result<Vec<TensorId>, String> {
                let ($($name,)*) = self;
                let mut ids = Vec::new();
                $(ids.extend($name.ids()?);)*
                Ok(ids)
            }
        }
    };
}

tuples!(A);
tuples!(A, B);
tuples!(A, B, C);
tuples!(A, B, C, D);
tuples!(A, B, C, D, E);
tuples!(A, B, C, D, E, F);
