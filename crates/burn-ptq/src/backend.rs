//! The Burn backends that float networks run on.
//!
//! Results do not depend on the backend, except for the rounding of floats: what a calibration
//! sample does to the last bit of a sum may move a weight that lies between two integers.

use burn::tensor::Device;

/// A backend and the name that selects it.
#[derive(Clone, Copy, Debug)]
pub struct Backend {
    /// The name; also that of the cargo feature, if it has one.
    pub name: &'static str,
    /// What it is.
    pub summary: &'static str,
    /// Its default device, if the backend is compiled in.
    device: Option<fn() -> Device>,
}

#[cfg(feature = "ndarray")]
const NDARRAY: Option<fn() -> Device> = Some(ndarray);
#[cfg(not(feature = "ndarray"))]
const NDARRAY: Option<fn() -> Device> = None;
#[cfg(feature = "wgpu")]
const WGPU: Option<fn() -> Device> = Some(wgpu);
#[cfg(not(feature = "wgpu"))]
const WGPU: Option<fn() -> Device> = None;

/// Every backend, the default first.
pub const BACKENDS: &[Backend] = &[
    Backend { name: "flex", summary: "the CPU, with SIMD and threads", device: Some(Device::flex) },
    Backend { name: "ndarray", summary: "the CPU, by ndarray", device: NDARRAY },
    Backend { name: "wgpu", summary: "the GPU, by WebGPU (Vulkan, Metal, DX12)", device: WGPU },
];

/// Burn 0.22 is the last release that has it.
#[cfg(feature = "ndarray")]
#[allow(deprecated)]
fn ndarray() -> Device {
    Device::ndarray()
}

#[cfg(feature = "wgpu")]
fn wgpu() -> Device {
    Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)
}

/// Why there is no device.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum BackendError {
    /// No backend is called so.
    #[error("unknown backend '{found}': expected one of {}{hint}", names().join(", "))]
    Unknown {
        /// The name.
        found: String,
        /// The nearest right one.
        hint: String,
    },
    /// The backend is left out of this build.
    #[error(
        "backend '{name}' is not part of this build: build it again with `--features {name}`, or \
         leave out the backend"
    )]
    NotBuilt {
        /// The backend.
        name: &'static str,
    },
}

fn names() -> Vec<&'static str> {
    BACKENDS.iter().map(|backend| backend.name).collect()
}

/// The default device of the backend called `name`.
///
/// ```
/// let device = burn_ptq::backend::device("flex")?;
/// assert!(burn_ptq::backend::device("abacus").is_err());
/// # Ok::<(), burn_ptq::backend::BackendError>(())
/// ```
///
/// # Errors
/// If there is none of that name, or it is not compiled in.
pub fn device(name: &str) -> Result<Device, BackendError> {
    let Some(backend) = BACKENDS.iter().find(|backend| backend.name == name) else {
        let nearest = crate::recipe::choice::nearest(name, &names());
        let hint = nearest.map_or(String::new(), |n| format!("; did you mean '{n}'?"));
        return Err(BackendError::Unknown { found: name.into(), hint });
    };
    backend.device.map(|device| device()).ok_or(BackendError::NotBuilt { name: backend.name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_are_found_by_name_or_refused_with_what_to_do() {
        assert_eq!(device("flex"), Ok(Device::flex()));
        let text = device("flexx").unwrap_err().to_string();
        assert!(text.contains("did you mean 'flex'?"), "{text}");
        for backend in BACKENDS.iter().filter(|backend| backend.device.is_none()) {
            let text = device(backend.name).unwrap_err().to_string();
            assert!(text.contains(&format!("--features {}", backend.name)), "{text}");
        }
    }
}
