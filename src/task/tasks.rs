//! Several tasks on one frame, in a stated order: which part it is, and then whether that part is normal.
//!
//! A task without a condition runs on every frame, one with a condition only where an earlier task said so. The verdict on the frame is
//! that of the task that finds it worst; the answers of all that ran are kept beside it.

use super::anomaly::{ImageStats, Verdict};
use super::error::TaskError;
use super::judge::Judge;
use super::recognition::{Recognition, UNKNOWN};
use lineside_engine::Plan;
use lineside_picture::Picture;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The words of conditions that are no names.
const OK: &str = "ok";
const DEFECT: &str = "defect";

/// A task with its name.
pub struct NamedTask {
    /// Its name in records.
    pub name: Arc<str>,
    /// Who judges.
    pub judge: Judge,
    /// On which frames it runs; `None`: on all.
    pub condition: Option<Condition>,
}

/// What an earlier task must say of a frame.
#[derive(Debug, Clone)]
pub struct Condition {
    /// The index of that task.
    pub after: usize,
    /// What it may say: names, `ok`, `defect`, `unknown`; empty: anything.
    pub when: Vec<String>,
}

/// What one task says of a frame.
#[derive(Debug, Clone)]
pub struct TaskAnswer {
    /// The task's name.
    pub name: Arc<str>,
    /// The fingerprint of its bundle.
    pub bundle: Arc<str>,
    /// Its score.
    pub score: f64,
    /// How far the frame is from normal, by this task.
    pub severity: f64,
    /// Whether the frame counts as defect for it.
    pub defect: bool,
    /// What it recognised.
    pub recognition: Option<Recognition>,
}

/// The tasks of a line; at least one.
pub struct Tasks {
    tasks: Vec<NamedTask>,
    /// By task: its verdict, and whether it ran on the frame judged last.
    verdicts: Vec<(Verdict, bool)>,
    /// The task whose verdict is the frame's.
    decided: usize,
}

impl fmt::Display for TaskAnswer {
    /// `type: cap 0.980 ok 0.04`, with the severity.
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{}:", self.name)?;
        if let Some(recognition) = &self.recognition {
            write!(out, " {} {:.3}", recognition.word(), recognition.best().1)?;
        }
        write!(out, " {} {:.2}", if self.defect { DEFECT } else { OK }, self.severity)
    }
}

impl Condition {
    /// Whether what a task said fulfils it. Names go before the words for verdicts: a class may be called "ok".
    fn holds(&self, verdict: &Verdict) -> bool {
        let says = |word: &String| match (&verdict.recognition, word.as_str()) {
            (Some(recognition), name) if recognition.names().contains(word) => recognition.word() == name,
            (_, OK) => !verdict.defect,
            (_, DEFECT) => verdict.defect,
            (Some(recognition), UNKNOWN) => recognition.is_unknown,
            _ => false,
        };
        self.when.is_empty() || self.when.iter().any(says)
    }

    /// The first word that the task `before` can never say.
    pub fn impossible(&self, before: &Judge) -> Option<&str> {
        let is_possible = |word: &&String| {
            [OK, DEFECT].contains(&word.as_str())
                || (word.as_str() == UNKNOWN && !before.names().is_empty())
                || before.names().contains(word)
        };
        self.when.iter().find(|word| !is_possible(word)).map(String::as_str)
    }
}

impl Tasks {
    /// One task.
    pub fn one(name: &str, judge: Judge) -> Tasks {
        Tasks::new(NamedTask { name: name.into(), judge, condition: None }, Vec::new())
    }

    /// A task and those after it; each condition names an earlier one.
    pub fn new(first: NamedTask, others: Vec<NamedTask>) -> Tasks {
        let tasks: Vec<NamedTask> = std::iter::once(first).chain(others).collect();
        // With room for regions, so that the first defect makes none.
        let with_room = || Verdict { regions: Vec::with_capacity(64), ..Verdict::default() };
        let verdicts = tasks.iter().map(|_| (with_room(), false)).collect();
        Tasks { tasks, verdicts, decided: 0 }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &NamedTask> {
        self.tasks.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.tasks.len()
    }

    /// The first, which runs on every frame: brightness, sharpness and drift are its.
    pub fn first(&self) -> &Judge {
        &self.tasks[0].judge
    }

    /// The only size of frames that they take: width and height in pixels; `None` where they take others.
    pub fn frame_size(&self) -> Option<(usize, usize)> {
        self.tasks.iter().find_map(|task| task.judge.frame_size())
    }

    /// Checks that all take frames of this width and height.
    ///
    /// # Errors
    /// [`TaskError::OtherSize`], which says what to do.
    pub fn require_taught_size(&self, size: (usize, usize)) -> Result<(), TaskError> {
        self.tasks.iter().try_for_each(|task| task.judge.require_taught_size(size))
    }

    /// The plans of their networks.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.tasks.iter().flat_map(|task| task.judge.plans())
    }

    /// The fingerprint of the bundle whose verdict is that of the frame judged last.
    pub fn bundle(&self) -> &Arc<str> {
        self.tasks[self.decided].judge.bundle()
    }

    /// Makes of a frame what the first task looks at.
    ///
    /// # Errors
    /// [`TaskError`] where it cannot be used.
    pub fn prepare(&mut self, frame: &Picture) -> Result<(), TaskError> {
        self.tasks[0].judge.prepare(frame)
    }

    /// What the bundle with this fingerprint said of the frame judged last, with the name of the first task that ran with it; `None`
    /// where none did.
    pub fn said_by(&self, bundle: &str) -> Option<(&Arc<str>, &Verdict)> {
        let mut all = self.tasks.iter().zip(&self.verdicts);
        let (task, (verdict, _)) = all.find(|(task, (_, ran))| *ran && **task.judge.bundle() == *bundle)?;
        Some((&task.name, verdict))
    }

    /// Brightness and sharpness of the frame that was prepared last.
    pub fn image_stats(&self) -> &ImageStats {
        self.first().image_stats()
    }

    /// The score of the first task on the frame judged last: the one that has a baseline.
    pub fn first_score(&self) -> f64 {
        self.verdicts[0].0.score
    }

    /// How much the frame that was prepared differs from the one judged last for all tasks that ran on that, in grey levels. Where that
    /// is little, the same tasks would run again and say the same.
    ///
    /// # Errors
    /// [`TaskError`] where the frame cannot be used by one of them.
    pub fn change(&mut self, frame: &Picture) -> Result<f64, TaskError> {
        let mut greatest = self.tasks[0].judge.change();
        for (task, (_, ran)) in self.tasks.iter_mut().zip(&self.verdicts).skip(1) {
            if *ran && greatest.is_finite() {
                task.judge.prepare(frame)?;
                greatest = greatest.max(task.judge.change());
            }
        }
        Ok(greatest)
    }

    /// Judges the frame that was prepared last; returns the time that the networks took. What a task fails at fails the frame: a verdict
    /// without it would say more than is known.
    ///
    /// # Errors
    /// [`TaskError`] of the first task that fails.
    pub fn judge(&mut self, frame: &Picture, verdict: &mut Verdict) -> Result<Duration, TaskError> {
        let size = (frame.width(), frame.height());
        self.verdicts.iter_mut().for_each(|(_, ran)| *ran = false);
        let mut spent = Duration::ZERO;
        for (at, task) in self.tasks.iter_mut().enumerate() {
            let (before, rest) = self.verdicts.split_at_mut(at);
            let runs = task.condition.as_ref().is_none_or(|condition| {
                before.get(condition.after).is_some_and(|(verdict, ran)| *ran && condition.holds(verdict))
            });
            let Some((own, ran)) = rest.first_mut().filter(|_| runs) else { continue };
            if at > 0 {
                task.judge.prepare(frame)?;
            }
            spent += task.judge.judge(size, own)?;
            *ran = true;
        }
        self.decide();
        self.repeat_verdict(size, verdict);
        Ok(spent)
    }

    /// Has every task judge a frame, whatever the others say: what they need is made now, and not while a line runs. Returns the time that
    /// the networks took.
    ///
    /// # Errors
    /// [`TaskError`] of the first task that fails.
    pub fn judge_by_all(&mut self, frame: &Picture) -> Result<Duration, TaskError> {
        let size = (frame.width(), frame.height());
        let mut spent = Duration::ZERO;
        for (task, (verdict, _)) in self.tasks.iter_mut().zip(&mut self.verdicts) {
            task.judge.prepare(frame)?;
            spent += task.judge.judge(size, verdict)?;
        }
        Ok(spent)
    }

    /// Makes the buffers that any task's verdict on frames of a size needs.
    pub fn make_room(&mut self, size: (usize, usize), verdict: &mut Verdict) {
        self.tasks.iter_mut().for_each(|task| task.judge.repeat_verdict(size, verdict));
    }

    /// Writes the verdict on the frame judged last again, for a frame of the given size.
    pub fn repeat_verdict(&mut self, size: (usize, usize), verdict: &mut Verdict) {
        self.tasks[self.decided].judge.repeat_verdict(size, verdict);
    }

    /// Writes what each task said of the frame judged last; nothing where there is only one, whose answer is the verdict.
    pub fn answers(&self, answers: &mut Vec<TaskAnswer>) {
        answers.clear();
        if self.tasks.len() == 1 {
            return;
        }
        let ran = self.tasks.iter().zip(&self.verdicts).filter(|(_, (_, ran))| *ran);
        answers.extend(ran.map(|(task, (verdict, _))| TaskAnswer {
            name: Arc::clone(&task.name),
            bundle: Arc::clone(task.judge.bundle()),
            score: verdict.score,
            severity: verdict.severity,
            defect: verdict.defect,
            recognition: verdict.recognition.clone(),
        }));
    }

    /// The worst decides: a defect before what is none, then by severity; of equals the earlier.
    fn decide(&mut self) {
        let mut worst: Option<(usize, (bool, f64))> = None;
        for (at, (verdict, ran)) in self.verdicts.iter().enumerate() {
            let rank = (verdict.defect, verdict.severity);
            let is_worse = worst.is_none_or(|(_, known)| rank.0 & !known.0 || (rank.0 == known.0 && rank.1 > known.1));
            if *ran && is_worse {
                worst = Some((at, rank));
            }
        }
        self.decided = worst.map_or(0, |(at, _)| at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_that_is_called_like_a_verdict_is_meant_by_its_name() {
        let names: Arc<[String]> = ["ok", "defect", "lid"].map(String::from).into();
        let verdict = |class: usize, defect: bool| {
            let mut recognition = Recognition::new(&names);
            recognition.offer(class, 0.9);
            Verdict { defect, recognition: Some(recognition), ..Verdict::default() }
        };
        let holds = |word: &str, verdict: &Verdict| Condition { after: 0, when: vec![word.into()] }.holds(verdict);
        // No class is a bad one to this bundle: each is only named.
        assert!(holds("ok", &verdict(0, false)) && !holds("ok", &verdict(2, false)));
        assert!(holds("defect", &verdict(1, false)) && !holds("defect", &verdict(0, true)));
        assert!(holds("lid", &verdict(2, true)) && !holds("unknown", &verdict(2, true)));
        // Where no class has the word, it is the verdict's.
        let plain = Verdict { defect: true, ..Verdict::default() };
        assert!(holds("defect", &plain) && !holds("ok", &plain) && !holds("unknown", &plain) && !holds("lid", &plain));
    }
}
