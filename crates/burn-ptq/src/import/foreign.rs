//! Files of other kinds that people give in place of a model, told by their first bytes.

/// What a file is, and what to do instead.
pub(super) struct Foreign {
    pub(super) what: &'static str,
    pub(super) hint: &'static str,
}

/// The bytes of an archive among which the names of its first members are.
const LOOKED_AT: usize = 4096;

/// What `bytes` are, if they are known to be no model that can be read.
pub(super) fn recognize(bytes: &[u8]) -> Option<Foreign> {
    const PYTORCH: &str = "export the model: torch.onnx.export(model, (sample,), \"model.onnx\")";
    const KERAS: &str = "convert the model with tf2onnx, or with tf.lite.TFLiteConverter";
    let found = |what, hint| Some(Foreign { what, hint });
    let names = |name: &[u8]| {
        bytes[..bytes.len().min(LOOKED_AT)].windows(name.len()).any(|window| window == name)
    };
    match bytes {
        [b'P', b'K', 3, 4, ..] if names(b"data.pkl") => found("a file of PyTorch", PYTORCH),
        [b'P', b'K', 3, 4, ..] if names(b"config.json") || names(b"metadata.json") => {
            found("a file of Keras", KERAS)
        }
        [b'P', b'K', 3, 4, ..] => found("a zip archive", "unpack it and give the model in it"),
        [0x89, b'H', b'D', b'F', ..] => found("an HDF5 file, such as Keras writes", KERAS),
        // The first opcodes of pickles since Python 2.3.
        [0x80, 2..=5, ..] => found("a pickle, such as PyTorch and scikit-learn write", PYTORCH),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => {
            found("an array of NumPy", "give the model first, and samples by --calib or --eval")
        }
        [_, _, _, _, _, 0, 0, 0, b'{', b'"', ..] => {
            found("a file of weights (safetensors)", PYTORCH)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_told_from_models() {
        let what = |bytes: &[u8]| recognize(bytes).map(|foreign| foreign.what);
        assert_eq!(what(b"PK\x03\x04\0\0archive/data.pkl"), Some("a file of PyTorch"));
        assert_eq!(what(b"PK\x03\x04\0\0metadata.json"), Some("a file of Keras"));
        assert_eq!(what(b"PK\x03\x04\0\0a.txt"), Some("a zip archive"));
        assert!(what(b"\x89HDF\r\n\x1a\n").is_some());
        assert!(what(b"\x80\x04\x95").is_some());
        assert!(what(b"\x93NUMPY\x01\0").is_some());
        assert!(what(b"\x40\0\0\0\0\0\0\0{\"a\"").is_some());
        // What ONNX and TensorFlow Lite files begin with.
        assert_eq!(what(b"\x08\x08\x12\x07pytorch"), None);
        assert_eq!(what(b"\x1c\0\0\0TFL3"), None);
        assert_eq!(what(b""), None);
    }
}
