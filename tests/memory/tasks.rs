//! Several tasks on a frame take no allocation.

use crate::common::{colour_bundle, root};
use lineside::bundle::Bundle;
use lineside::memory::{seal_this_thread, sealed_allocations};
use lineside::task::anomaly::Verdict;
use lineside::task::{Condition, Judge, NamedTask, Tasks};
use lineside_picture::{Layout, Picture, decode_file};

const SIZE: (usize, usize) = (320, 240);

fn task(name: &str, bundle: &Bundle, when: Option<&str>) -> NamedTask {
    let judge = Judge::new(bundle, None, 1).unwrap();
    let condition = when.map(|word| Condition { after: 0, when: vec![word.into()] });
    NamedTask { name: name.into(), judge, condition }
}

#[test]
fn verdicts_of_several_tasks_allocate_nothing() {
    let _alone = crate::alone();
    let folder = tempfile::tempdir().unwrap();
    colour_bundle(&folder.path().join("colour"), "");
    let colour = Bundle::open(&folder.path().join("colour")).unwrap();
    let demo = Bundle::open(&root().join("models/inspect-demo")).unwrap();
    let others = vec![task("part", &demo, Some("ok")), task("again", &colour, Some("defect"))];
    let mut tasks = Tasks::new(task("colour", &colour, None), others);
    let mut frames = Vec::new();
    for file in ["defect/part-09-stain", "normal/part-01"] {
        let mut frame = Picture::default();
        let file = root().join(format!("models/inspect-demo/frames/{file}.jpg"));
        decode_file(&std::fs::read(file).unwrap(), 1 << 20, &mut frame).unwrap();
        frames.push(frame);
    }
    let (mut verdict, mut answers) = (Verdict::default(), Vec::with_capacity(tasks.count()));
    verdict.regions.reserve(64);
    // As a line does before its first frame.
    tasks.judge_by_all(&Picture::new(Layout::Rgb, SIZE.0, SIZE.1)).unwrap();
    tasks.make_room(SIZE, &mut verdict);
    let judged = std::thread::spawn(move || {
        let before = sealed_allocations();
        seal_this_thread();
        let mut defects = 0;
        for frame in frames.iter().cycle().take(6) {
            tasks.prepare(frame).unwrap();
            if tasks.change(frame).unwrap() > 0.5 {
                tasks.judge(frame, &mut verdict).unwrap();
            }
            tasks.repeat_verdict(SIZE, &mut verdict);
            tasks.answers(&mut answers);
            assert_eq!(answers.len(), 2, "the third waits for a defect of the first");
            defects += usize::from(verdict.defect);
        }
        (sealed_allocations() - before, defects)
    });
    assert_eq!(judged.join().unwrap(), (0, 3));
}
