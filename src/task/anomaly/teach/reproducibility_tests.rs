//! The same pictures give the same statistics to the last bit on every CPU, kernel set and number of threads: compared with hashes
//! that are written down here. `./test` runs this on the host's CPU and, emulated, on one of aarch64.
//!
//! A change to teaching changes the hashes. The test prints the new ones; they belong here if what changed was meant to.

use super::super::cached_features::{CachedFeatures, LabelledFeatures};
use super::super::dataset_check::check_dataset;
use super::super::detail::{Detail, Views};
use super::super::fold_data::FoldData;
use super::super::scheme::{CANDIDATES, HEATMAP};
use super::*;
use crate::bundle::sha256;
use lineside_picture::Layout;
use rand_xoshiro::SplitMix64;

/// The first 16 digits of the SHA-256 of what is taught from [`part`]s alone, with labelled defects, and at other details.
const EXPECTED: &[(&str, &str)] = &[
    ("parts: scorer 0", "1eb01417c9e7494a"),
    ("parts: scorer 1", "f4552d5279752027"),
    ("parts: scorer 2", "0e43b6654990ae16"),
    ("parts: scorer 3", "6c56e3b7bb8f67b4"),
    ("parts: manifest", "e1d89cccb8b44299"),
    ("parts: calibration", "e3c71709e8fe2aea"),
    ("parts: heat", "5c2a8306e9c997cd"),
    ("parts: baseline", "880603de826bfd08"),
    ("parts: figures", "62ac7b780bc889bf"),
    ("parts: Contrast on view 1", "1eb01417c9e7494a"),
    ("parts: Gaussian on view 1", "b9ffab2ce73be3f5"),
    ("parts: Bank on view 1", "1d511b14120fe64f"),
    ("parts: Linear on view 0", "f4552d5279752027"),
    ("parts: Subspace on view 0", "aae8feae065f4aef"),
    ("parts: Place on view 0", "0e43b6654990ae16"),
    ("parts: Mahalanobis on view 0", "fccf1d7b4b5799cb"),
    ("parts: Contrast on view 0", "6c56e3b7bb8f67b4"),
    ("labels: scorer 0", "f82ea1a5f7c3d812"),
    ("labels: scorer 1", "5c36192c68afa91e"),
    ("labels: scorer 2", "0e43b6654990ae16"),
    ("labels: scorer 3", "1067a59f75af4a58"),
    ("labels: manifest", "171b52b65126f2e2"),
    ("labels: calibration", "061510f4ae8a4590"),
    ("labels: heat", "b62bca8e6008c666"),
    ("labels: baseline", "37788be5a2689e40"),
    ("labels: figures", "264ceeb981883ee3"),
    ("labels: Contrast on view 1", "f82ea1a5f7c3d812"),
    ("labels: Gaussian on view 1", "b9ffab2ce73be3f5"),
    ("labels: Bank on view 1", "1d511b14120fe64f"),
    ("labels: Linear on view 0", "5c36192c68afa91e"),
    ("labels: Subspace on view 0", "2a6d68bc1d446b03"),
    ("labels: Place on view 0", "0e43b6654990ae16"),
    ("labels: Mahalanobis on view 0", "fccf1d7b4b5799cb"),
    ("labels: Contrast on view 0", "1067a59f75af4a58"),
    ("coarse: scorer 0", "f7c89e1333b9bac5"),
    ("coarse: scorer 1", "fe88abfe1b6a3f47"),
    ("coarse: scorer 2", "8b2b3833197b6f6d"),
    ("coarse: scorer 3", "c677965064bf45cd"),
    ("coarse: manifest", "a5b3dee38c9e6538"),
    ("coarse: calibration", "bc04f4b4198e7548"),
    ("coarse: heat", "c5f3a0dd971775ff"),
    ("coarse: baseline", "eec7fdbf795836c3"),
    ("coarse: figures", "a4eeb1105eb2cc88"),
    ("fine: scorer 0", "39164f73c1d9d0a8"),
    ("fine: scorer 1", "e3e63b4b19a97b64"),
    ("fine: scorer 2", "d0ac306988700a98"),
    ("fine: scorer 3", "783ec33456e206b5"),
    ("fine: manifest", "5e99d01c1ddcdbae"),
    ("fine: calibration", "e76fdf61f77213cf"),
    ("fine: heat", "f6a5101c9621f0b1"),
    ("fine: baseline", "59d6e44b425d1ca6"),
    ("fine: figures", "45c84a0ec778d43c"),
];

const SIZE: (usize, usize) = (120, 96);

/// A rendered part: a disc with a bright rim on a plate in soft light, nearly in its place, with grain.
fn part(number: u64) -> Picture {
    let mut random = SplitMix64::seed_from_u64(number);
    let mut below = |end: u64| (random.next_u64() % end) as i64;
    let (centre, light, tint) = ((56 + below(9), 44 + below(9)), below(24), below(12));
    let mut data = Vec::new();
    for y in 0..SIZE.1 as i64 {
        for x in 0..SIZE.0 as i64 {
            let distance = (x - centre.0) * (x - centre.0) + (y - centre.1) * (y - centre.1);
            let material = if distance < 26 * 26 { 150 + (x / 6 + y / 6) % 2 * 14 } else { 70 + x / 4 };
            let rim = if (26 * 26..30 * 30).contains(&distance) { 90 } else { 0 };
            for channel in 0..3 {
                data.push((material + rim + light + channel * tint + below(9)).clamp(0, 255) as u8);
            }
        }
    }
    Picture::from_data(Layout::Rgb, SIZE.0, SIZE.1, data).unwrap()
}

/// A part with a dark bar, and the mask of the bar.
fn defect(number: u64) -> (Picture, Picture) {
    let mut picture = part(1000 + number);
    let mut mask = Picture::from_data(Layout::Grey, SIZE.0, SIZE.1, vec![0; SIZE.0 * SIZE.1]).unwrap();
    for y in 40..48 {
        let columns = 30 + 10 * number as usize..60 + 10 * number as usize;
        picture.row_mut(y)[3 * columns.start..3 * columns.end].iter_mut().for_each(|byte| *byte /= 3);
        mask.row_mut(y)[columns].fill(255);
    }
    (picture, mask)
}

/// The key of a part: as of a file, 64 hexadecimal digits.
fn key(number: u64) -> String {
    sha256(&number.to_le_bytes())
}

/// A trainer that has seen 20 parts, and four defects where `labelled`.
fn trainer(folder: &Path, views: Views, labelled: bool, threads: usize) -> Trainer {
    let backbone = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/backbone-tiny");
    let backbone = Bundle::open(&backbone).unwrap();
    let (counts, framing) = ((20, if labelled { 4 } else { 0 }), Framing::default());
    let mut trainer = Trainer::new(&backbone, views, counts, None, framing, folder, threads).unwrap();
    for number in 0..20 {
        trainer.add_normal(format!("part-{number}"), key(number), &part(number)).unwrap();
    }
    for number in (0..4).filter(|_| labelled) {
        let (picture, mask) = defect(number);
        let key = key(1000 + number);
        let hosts = trainer.hosts(&key);
        let hosts: Vec<_> = hosts
            .into_iter()
            .map(|host| (host / (1 + trainer.copies())) as u64)
            .map(|host| (self::key(host), part(host)))
            .collect();
        let kind = ["bar", "stain"][number as usize % 2].to_string();
        let defect = LabelledDefect { name: format!("defect-{number}"), key, kind, picture: &picture };
        trainer.add_defect(defect, Some(&mask), &hosts).unwrap();
    }
    trainer
}

fn hash_of(values: &[f32]) -> String {
    sha256(&values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
}

/// What a trainer makes of its pictures, part by part.
fn taught(trainer: &Trainer, name: &str) -> Vec<(String, String)> {
    let check = check_dataset(trainer.pictures());
    let model = trainer.train(&check.assignment, 0.01, |_| ()).unwrap();
    let mut parts = Vec::new();
    let mut add = |part: String, hash: String| parts.push((format!("{name}: {part}"), hash));
    for (number, scorer) in model.scorers.iter().enumerate() {
        add(format!("scorer {number}"), hash_of(&scorer.matrix.values));
    }
    // Medians, spreads and the threshold, in every digit; intervals and AUROCs.
    add("manifest".into(), sha256(toml::to_string(&model.section()).unwrap().as_bytes()));
    add("calibration".into(), hash_of(&model.calibration.to_matrix().values));
    add("heat".into(), hash_of(&model.half_distances.values));
    add("baseline".into(), sha256(model.baseline(trainer.pictures()).to_json().unwrap().as_bytes()));
    let candidates = model.candidates.iter().map(|candidate| candidate.auroc);
    let figures = candidates.chain([model.auroc]).chain(model.false_alarm_interval).chain(model.sums.iter().copied());
    add("figures".into(), sha256(&figures.flat_map(f64::to_le_bytes).collect::<Vec<u8>>()));
    parts
}

/// The statistics of every candidate, whether it is selected or not.
fn candidates(trainer: &Trainer, name: &str) -> Vec<(String, String)> {
    let layers: Vec<&[Layer]> = trainer.views.iter().map(View::layers).collect();
    let assignment = check_dataset(trainer.pictures()).assignment;
    let cached = CachedFeatures::read(&trainer.normal, &layers, &assignment, |_| ()).unwrap();
    let folds = (0..trainer.defects().len()).map(|label| label % 4).collect();
    let labels = LabelledFeatures::read(&trainer.defects, &layers, folds, &cached).unwrap();
    let labels = (labels.count() > 0).then_some(&labels);
    let data = FoldData::new(&cached, labels);
    let specs = CANDIDATES.iter().chain([&HEATMAP]);
    let trained = specs.map(|&spec| {
        let matrix = data.train(spec, labels.is_some()).unwrap();
        (format!("{name}: {:?} on view {}", spec.method, spec.view), hash_of(&matrix.values))
    });
    trained.collect()
}

#[test]
fn the_same_pictures_teach_the_same_to_the_last_bit_on_every_cpu() {
    let folder = tempfile::tempdir().unwrap();
    let mut found = Vec::new();
    for (name, labelled, threads) in [("parts", false, 1), ("labels", true, 2)] {
        let trainer = trainer(&folder.path().join(name), Detail::Normal.views(SIZE), labelled, threads);
        found.extend(taught(&trainer, name));
        found.extend(candidates(&trainer, name));
    }
    // As of frames of 352 x 300, so that the larger view of `fine` is no square.
    let taught_at = |detail: Detail, threads: usize| {
        let folder = folder.path().join(format!("{}-{threads}", detail.name()));
        taught(&trainer(&folder, detail.views((352, 300)), false, threads), detail.name())
    };
    found.extend(taught_at(Detail::Coarse, 1));
    let fine = taught_at(Detail::Fine, 1);
    assert!(fine == taught_at(Detail::Fine, 2), "the number of threads counts");
    found.extend(fine);
    let found: Vec<(&str, &str)> = found.iter().map(|(part, hash)| (part.as_str(), &hash[..16])).collect();
    let table: String = found.iter().map(|pair| format!("    {pair:?},\n")).collect();
    assert!(found == EXPECTED, "other statistics than written down; these are\n{table}");
}
