//! Good frames as a bundle keeps them for recalibration: what each scorer gave them when they were held out and, of one fold, their
//! pooled features in bytes and the scorers that were trained without that fold. Scorers forgive the frames that they were trained
//! with whatever is done to their features; what a change does to frames yet to come only such a fold tells.

use crate::bundle::{Bundle, BundleError, NormalSection};
use crate::task::anomaly::pooled_scale::PooledScale;
use crate::task::anomaly::scorer::Matrix;
use lineside_engine::{EngineError, Tensor, npy};

/// The most frames of what is taught first whose values are kept, and whose features are.
const KEPT: usize = 256;
const WITH_FEATURES: usize = 64;
/// The most frames that are kept of each later batch.
const KEPT_LATER: usize = 64;
/// Steps per standard deviation: 127 is eight of them.
const STEPS: f32 = 16.0;
/// Their files.
const FILES: [&str; 3] = ["normal-scale.npy", "normal-features.npy", "normal-values.npy"];
/// Columns of the file of values before those of the scorers: batch, and 1 where features are kept.
const MARKS: usize = 2;

/// A good frame: its pooled features, and the value of each scorer when it was held out.
pub type GoodFrame<'a> = (Option<&'a [u16]>, Vec<f64>);

/// Good frames of all batches so far.
pub struct NormalFrames {
    /// The view of their pooled features.
    pub view: usize,
    /// Mean and standard deviation of the features, over the frames first taught.
    pub scale: PooledScale,
    /// By scorer of the bundle: the same trained without the frames first taught that have features; `None` for those that use no
    /// pooled features of the view.
    pub held_out: Vec<Option<Matrix>>,
    frames: Vec<KeptFrame>,
}

/// A frame as it is kept.
struct KeptFrame {
    batch: usize,
    /// Empty where they are not kept.
    features: Vec<i8>,
    /// By scorer.
    values: Vec<f64>,
}

impl NormalFrames {
    /// Without any frame.
    pub fn new(view: usize, scale: PooledScale, held_out: Vec<Option<Matrix>>) -> NormalFrames {
        NormalFrames { view, scale, held_out, frames: Vec::new() }
    }

    /// Adds frames of a batch, spread evenly over all.
    pub fn extend(&mut self, batch: usize, frames: &[GoodFrame<'_>]) {
        let most = if batch == 0 { KEPT } else { KEPT_LATER };
        let (with, without): (Vec<_>, Vec<_>) = frames.iter().partition(|(features, _)| features.is_some());
        let with_most = with.len().min(if batch == 0 { WITH_FEATURES } else { KEPT_LATER });
        let without_most = without.len().min(most - with_most);
        let chosen = [(with, with_most), (without, without_most)];
        let chosen = chosen.iter().flat_map(|(all, most)| (0..*most).map(move |i| all[i * all.len() / most]));
        for (pooled, values) in chosen {
            let steps = |pooled: &[u16]| -> Vec<i8> {
                let steps =
                    self.scale.standardize(pooled).into_iter().map(|value| (value as f32 * STEPS).round_ties_even());
                steps.map(|value| value.clamp(-127.0, 127.0) as i8).collect()
            };
            let features = pooled.map_or_else(Vec::new, steps);
            // As the file keeps them.
            let values = values.iter().map(|&value| f64::from(value as f32)).collect();
            self.frames.push(KeptFrame { batch, features, values });
        }
    }

    /// Number of frames.
    pub fn count(&self) -> usize {
        self.frames.len()
    }

    /// The batch of a frame: 0 for what was first taught.
    pub fn batch(&self, frame: usize) -> usize {
        self.frames[frame].batch
    }

    /// The pooled features of a frame, as exactly as they are kept; `None` where they are not.
    pub fn pooled(&self, frame: usize) -> Option<Vec<u16>> {
        let features = &self.frames[frame].features;
        let parameters = self.scale.means.iter().zip(&self.scale.scales);
        let value = |(&step, (mean, scale)): (&i8, (&f32, &f32))| {
            (mean + f32::from(step) / STEPS / scale + 0.5).clamp(0.0, f32::from(u16::MAX)) as u16
        };
        (!features.is_empty()).then(|| features.iter().zip(parameters).map(value).collect())
    }

    /// The value of each scorer when the frame was held out.
    pub fn values(&self, frame: usize) -> &[f64] {
        &self.frames[frame].values
    }

    /// Replaces these values.
    pub fn set_values(&mut self, frame: usize, values: Vec<f64>) {
        self.frames[frame].values = values;
    }

    /// Its section of a manifest.
    pub fn section(&self) -> NormalSection {
        let [scale, features, values] = FILES.map(String::from);
        let held_out = self.held_out.iter().enumerate();
        let held_out =
            held_out.map(|(at, matrix)| matrix.as_ref().map_or(String::new(), |_| held_out_file(at))).collect();
        NormalSection { view: self.view, scale, features, values, held_out }
    }

    /// Names and contents of its files.
    ///
    /// # Errors
    /// None in practice: lengths follow from each other.
    pub fn files(&self) -> Result<Vec<(String, Vec<u8>)>, EngineError> {
        let rows = self.frames.iter().flat_map(|frame| {
            let marks = [frame.batch as f32, if frame.features.is_empty() { 0.0 } else { 1.0 }];
            marks.into_iter().chain(frame.values.iter().map(|&value| value as f32))
        });
        let features: Vec<i8> = self.frames.iter().flat_map(|frame| frame.features.iter().copied()).collect();
        let (columns, scorers) = (self.scale.count(), self.held_out.len());
        let mut tensors = vec![
            (FILES[0].to_string(), Tensor::new(vec![2, columns], self.scale.values())?),
            (FILES[1].to_string(), Tensor::new(vec![features.len() / columns.max(1), columns], features)?),
            (FILES[2].to_string(), Tensor::new(vec![self.count(), MARKS + scorers], rows.collect::<Vec<f32>>())?),
        ];
        for (at, matrix) in self.held_out.iter().enumerate() {
            let Some(Matrix { columns, values }) = matrix else { continue };
            tensors.push((
                held_out_file(at),
                Tensor::new(vec![values.len() / columns.max(&1), *columns], values.clone())?,
            ));
        }
        let mut files = Vec::new();
        for (name, tensor) in &tensors {
            let mut bytes = Vec::new();
            npy::write(&mut bytes, tensor)?;
            files.push((name.clone(), bytes));
        }
        Ok(files)
    }

    /// Those of a bundle; `None` where it keeps none.
    ///
    /// # Errors
    /// [`BundleError`] where a file is malformed.
    pub fn of(bundle: &Bundle) -> Result<Option<NormalFrames>, BundleError> {
        let Some(anomaly) = &bundle.manifest().anomaly else { return Ok(None) };
        let Some(section) = &anomaly.normal else { return Ok(None) };
        let read = |name: &String| npy::read(&bundle.read(name)?).map_err(|error| bundle.blame(name, error));
        let wrong = |name: &String| bundle.blame(name, "has another shape than bundle.toml and the other files state");
        let floats = |name: &String| -> Result<Matrix, BundleError> {
            let tensor = read(name)?;
            match (tensor.values::<f32>(), tensor.shape()) {
                (Some(values), &[_, columns]) if columns > 0 && values.iter().all(|value| value.is_finite()) => {
                    Ok(Matrix { columns, values: values.to_vec() })
                }
                _ => Err(wrong(name)),
            }
        };
        let scale = PooledScale::from_values(&floats(&section.scale)?.values);
        let scale = scale.map_err(|problem| bundle.blame(&section.scale, problem))?;
        let (columns, scorers) = (scale.count(), anomaly.scorer.len());
        let values = floats(&section.values)?;
        if values.columns != MARKS + scorers || section.held_out.len() != scorers {
            return Err(wrong(&section.values));
        }
        let features = read(&section.features)?;
        let bytes = features.values::<i8>().filter(|_| matches!(features.shape(), [_, found] if *found == columns));
        let mut rows = bytes.ok_or_else(|| wrong(&section.features))?.chunks_exact(columns.max(1));
        let held_out =
            section.held_out.iter().map(|name| if name.is_empty() { Ok(None) } else { floats(name).map(Some) });
        let mut frames = NormalFrames::new(section.view, scale, held_out.collect::<Result<_, _>>()?);
        for row in values.rows() {
            let features = if row[1] > 0.0 { rows.next().ok_or_else(|| wrong(&section.features))? } else { &[] };
            let values = row[MARKS..].iter().map(|&value| f64::from(value)).collect();
            frames.frames.push(KeptFrame { batch: row[0] as usize, features: features.to_vec(), values });
        }
        if !frames.frames.is_sorted_by_key(|frame| frame.batch)
            || frames.frames.first().is_none_or(|frame| frame.batch > 0)
        {
            return Err(wrong(&section.values));
        }
        Ok(Some(frames))
    }
}

fn held_out_file(scorer: usize) -> String {
    format!("normal-scorer-{scorer}.npy")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_kept_to_a_sixteenth_of_a_deviation() {
        let scale = PooledScale { means: vec![1000.0, 2000.0], scales: vec![0.01, 0.1] };
        let mut frames = NormalFrames::new(0, scale, vec![None, None]);
        let all: [GoodFrame; 3] =
            [(Some(&[1104, 2003]), vec![0.5, -1.0]), (Some(&[60_000, 0]), vec![1.5, 2.0]), (None, vec![7.0, 8.0])];
        frames.extend(0, &all);
        assert_eq!((frames.count(), frames.pooled(0)), (3, Some(vec![1106, 2003])));
        // Eight deviations at most.
        assert_eq!((frames.pooled(1), frames.pooled(2)), (Some(vec![1794, 1921]), None));
        assert_eq!((frames.values(1), frames.values(2)), (&[1.5, 2.0][..], &[7.0, 8.0][..]));
        frames.set_values(1, vec![3.0, 4.0]);
        assert_eq!(frames.values(1), [3.0, 4.0]);
    }

    #[test]
    fn of_many_frames_some_are_kept() {
        let mut frames = NormalFrames::new(0, PooledScale { means: vec![0.0], scales: vec![1.0] }, vec![None]);
        let many: Vec<GoodFrame> =
            (0..1000).map(|i| ((i % 4 == 0).then_some(&[0u16][..]), vec![f64::from(i)])).collect();
        frames.extend(0, &many);
        frames.extend(1, &many);
        let with =
            |batch| (0..frames.count()).filter(|&i| frames.batch(i) == batch && frames.pooled(i).is_some()).count();
        assert_eq!((with(0), with(1), frames.count()), (WITH_FEATURES, KEPT_LATER, KEPT + KEPT_LATER));
    }
}
