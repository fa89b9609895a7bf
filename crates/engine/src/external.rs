//! Weights that a model keeps in files beside it ("external data" of ONNX), read into the model.

use super::EngineError;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use tract_onnx::pb::{ModelProto, TensorProto};

/// The value of `data_location` that stands for another file.
const EXTERNAL: i32 = 1;

/// Every tensor of a model that nodes read: initializers, and those among the attributes.
fn tensors(model: &mut ModelProto) -> impl Iterator<Item = &mut TensorProto> {
    model.graph.iter_mut().flat_map(|graph| {
        let attributes = graph.node.iter_mut().flat_map(|node| &mut node.attribute);
        graph.initializer.iter_mut().chain(attributes.filter_map(|attribute| attribute.t.as_mut()))
    })
}

/// Reads the data that lies in other files, which must be regular ones in `folder` or below; at most `most` bytes in all.
///
/// # Errors
/// [`EngineError::Beside`] with the tensor, the file and what is wrong.
pub fn read(model: &mut ModelProto, folder: &Path, most: u64) -> Result<(), EngineError> {
    let mut left = most;
    // Tensors of one file follow one another: it is opened once for them all.
    let mut open: Option<(PathBuf, File, u64)> = None;
    for tensor in tensors(model).filter(|tensor| tensor.data_location == Some(EXTERNAL)) {
        let entry =
            |key: &str| tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.clone());
        let location = entry("location").unwrap_or_default();
        let problem =
            |what: String| EngineError::Beside { tensor: tensor.name.clone(), file: location.clone(), problem: what };
        let number = |key: &str| match entry(key) {
            None => Ok(None),
            Some(text) => {
                text.parse::<u64>().map(Some).map_err(|_| problem(format!("its {key} \"{text}\" is no number")))
            }
        };
        let path = below(folder, &location).map_err(problem)?;
        if open.as_ref().is_none_or(|(opened, ..)| *opened != path) {
            let unreadable = |error: io::Error| problem(format!("it cannot be read: {error}"));
            // Not opened where it is a pipe: that would wait.
            if !std::fs::metadata(&path).map_err(unreadable)?.is_file() {
                return Err(problem("it is no regular file".into()));
            }
            let file = File::open(&path).map_err(unreadable)?;
            let length = file.metadata().map_err(unreadable)?.len();
            open = Some((path, file, length));
        }
        let Some((_, file, length)) = &mut open else { continue };
        let offset = number("offset")?.unwrap_or(0);
        let asked = number("length")?.unwrap_or_else(|| length.saturating_sub(offset));
        if offset.checked_add(asked).is_none_or(|end| end > *length) {
            return Err(problem(format!("it has {length} bytes, but {asked} are asked for from byte {offset} on")));
        }
        left =
            left.checked_sub(asked).ok_or_else(|| problem(format!("the model has more than {most} bytes in all")))?;
        let mut data = vec![0; asked as usize];
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut data));
        read.map_err(|error| problem(format!("it cannot be read: {error}")))?;
        tensor.raw_data = data;
        tensor.data_location = None;
        tensor.external_data.clear();
    }
    Ok(())
}

/// The file that a location means, which may not leave the folder: neither by its name nor by a link.
fn below(folder: &Path, location: &str) -> Result<PathBuf, String> {
    let relative = Path::new(location);
    let plain = |component: Component| matches!(component, Component::Normal(_) | Component::CurDir);
    if location.is_empty() || !relative.components().all(plain) {
        return Err("it must lie in the folder of the model or below".into());
    }
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let missing = |error: io::Error| format!("it cannot be read: {error}");
    let real = folder.join(relative).canonicalize().map_err(missing)?;
    if real.starts_with(folder.canonicalize().map_err(missing)?) {
        Ok(real)
    } else {
        Err("it is a link out of the folder of the model".into())
    }
}

/// The first tensor whose data lies in another file, and that file.
pub fn first(model: &mut ModelProto) -> Option<EngineError> {
    let tensor = tensors(model).find(|tensor| tensor.data_location == Some(EXTERNAL))?;
    let location = tensor.external_data.iter().find(|entry| entry.key == "location");
    Some(EngineError::Beside {
        tensor: tensor.name.clone(),
        file: location.map_or_else(String::new, |entry| entry.value.clone()),
        problem: "here a model is read from one file alone: save it with its weights inside \
                  (onnx.save(onnx.load(\"model.onnx\"), \"whole.onnx\"))"
            .into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::pb::{GraphProto, StringStringEntryProto};

    fn model(entries: &[(&str, &str)]) -> ModelProto {
        let entry = |&(key, value): &(&str, &str)| StringStringEntryProto { key: key.into(), value: value.into() };
        let tensor = TensorProto {
            name: "W".into(),
            data_location: Some(EXTERNAL),
            external_data: entries.iter().map(entry).collect(),
            ..Default::default()
        };
        let graph = GraphProto { initializer: vec![tensor], ..Default::default() };
        ModelProto { graph: Some(graph), ..Default::default() }
    }

    fn data(entries: &[(&str, &str)], folder: &Path) -> Result<Vec<u8>, String> {
        let mut model = model(entries);
        read(&mut model, folder, 6).map_err(|error| error.to_string())?;
        Ok(model.graph.unwrap().initializer[0].raw_data.clone())
    }

    #[test]
    fn data_comes_from_the_folder_of_the_model_alone() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("model");
        std::fs::create_dir_all(folder.join("weights")).unwrap();
        std::fs::write(outer.path().join("secret"), b"secret").unwrap();
        std::fs::write(folder.join("weights/w"), b"0123456789").unwrap();
        std::os::unix::fs::symlink(outer.path().join("secret"), folder.join("link")).unwrap();
        let at = |location, offset, length| [("location", location), ("offset", offset), ("length", length)];
        assert_eq!(data(&at("weights/w", "2", "3"), &folder).unwrap(), b"234");
        assert_eq!(data(&[("location", "./weights/w"), ("offset", "6")], &folder).unwrap(), b"6789");
        for (entries, what) in [
            (at("../secret", "0", "1"), "in the folder of the model or below"),
            (at("/etc/passwd", "0", "1"), "in the folder of the model or below"),
            (at("", "0", "1"), "in the folder of the model or below"),
            (at("link", "0", "1"), "a link out of the folder"),
            (at("none", "0", "1"), "cannot be read"),
            (at("weights", "0", "1"), "no regular file"),
            (at("weights/w", "9", "2"), "has 10 bytes, but 2 are asked for from byte 9 on"),
            (at("weights/w", "18446744073709551615", "2"), "are asked for"),
            (at("weights/w", "-1", "2"), "offset \"-1\" is no number"),
            (at("weights/w", "0", "7"), "more than 6 bytes in all"),
        ] {
            let error = data(&entries, &folder).unwrap_err();
            assert!(error.contains(what) && error.contains("\"W\""), "{error}");
        }
    }
}
