//! `lineside infer`: any model, several inputs and outputs, open dimensions.

use crate::common::{arg, refuse, root, succeed};
use lineside_engine::{Tensor, npy};

#[test]
fn a_float_model_with_two_inputs_and_two_outputs() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let save = |name: &str, values: Vec<f32>| {
        let tensor = Tensor::new(vec![values.len() / 3, 3], values).unwrap();
        npy::write(std::fs::File::create(path(name)).unwrap(), &tensor).unwrap();
    };
    let model = root().join("tests/data/two_in_two_out.onnx");
    save("a.npy", vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    save("b.npy", vec![0.5, 0.5, 0.5, -1.0, -1.0, -1.0]);
    let (a, b, sum, scaled) = (path("a.npy"), path("b.npy"), path("sum.npy"), path("scaled.npy"));
    succeed(&["infer", arg(&model), "-i", arg(&a), "-i", arg(&b), "-o", arg(&sum), "-o", arg(&scaled)]);
    let read = |path: &std::path::Path| npy::read(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(read(&sum), Tensor::new(vec![2, 3], vec![1.5f32, 2.5, 3.5, 3.0, 4.0, 5.0]).unwrap());
    // Columns of the weight: a + 2 b, and 10 c.
    assert_eq!(read(&scaled), Tensor::new(vec![2, 2], vec![6.5f32, 35.0, 11.0, 50.0]).unwrap());

    // An output is what its name leads to: a device stays one, and a folder is refused before the model is run.
    let null = path("null");
    std::os::unix::fs::symlink("/dev/null", &null).unwrap();
    succeed(&["infer", arg(&model), "-i", arg(&a), "-i", arg(&b), "-o", arg(&null)]);
    assert!(
        std::fs::symlink_metadata(&null).unwrap().is_symlink() && !std::fs::metadata("/dev/null").unwrap().is_file()
    );
    refuse(&["infer", arg(&model), "-i", arg(&a), "-o", arg(folder.path())], 2, &["is a folder", "another place"]);

    // The first output alone; then an input too few, an output too many, and rows that do not go together.
    succeed(&["infer", arg(&model), "-i", arg(&a), "-i", arg(&b), "-o", arg(&sum)]);
    refuse(&["infer", arg(&model), "-i", arg(&a), "-o", arg(&sum)], 2, &["2 inputs, but -i was given 1 times"]);
    let three = ["-o", arg(&sum), "-o", arg(&sum), "-o", arg(&sum)];
    refuse(&[&["infer", arg(&model), "-i", arg(&a), "-i", arg(&b)], &three[..]].concat(), 2, &["2 outputs"]);
    save("c.npy", vec![1.0; 9]);
    refuse(
        &["infer", arg(&model), "-i", arg(&a), "-i", arg(&path("c.npy")), "-o", arg(&sum)],
        1,
        &["two_in_two_out.onnx"],
    );
}
