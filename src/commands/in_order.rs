//! Work on many items by several threads at once, with the results in the items' order.

use std::sync::mpsc::sync_channel;

/// Gives each item to one of the workers, each of which has a thread of its own, and the results to `done` in the items' order. Which
/// worker an item is given to depends on its place alone. A worker is at most two items ahead, so that few results wait.
///
/// # Errors
/// The first error of `done`, after which no further item is begun.
pub fn in_order<W: Send, T: Send, R: Send, E>(
    workers: &mut [W],
    items: Vec<T>,
    work: impl Fn(&mut W, T) -> R + Sync,
    mut done: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let (count, threads) = (items.len(), workers.len().max(1));
    let mut shares: Vec<Vec<T>> = workers.iter().map(|_| Vec::new()).collect();
    for (place, item) in items.into_iter().enumerate() {
        if let Some(share) = shares.get_mut(place % threads) {
            share.push(item);
        }
    }
    let work = &work;
    std::thread::scope(|scope| {
        let mut receivers = Vec::new();
        for (worker, share) in workers.iter_mut().zip(shares) {
            let (sender, receiver) = sync_channel(1);
            receivers.push(receiver);
            scope.spawn(move || {
                for item in share {
                    // Nobody receives any more: an earlier result was an error.
                    if sender.send(work(&mut *worker, item)).is_err() {
                        return;
                    }
                }
            });
        }
        for place in 0..count {
            match receivers.get(place % threads).map(|receiver| receiver.recv()) {
                Some(Ok(result)) => done(result)?,
                // Its thread has panicked, and so will this one at the end of the scope.
                _ => break,
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::in_order;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn results_come_once_and_in_order_for_any_number_of_workers() {
        for threads in 1..6 {
            let mut workers = vec![0; threads];
            let mut results = Vec::new();
            let slow_first = |count: &mut usize, item: usize| {
                *count += 1;
                std::thread::sleep(std::time::Duration::from_micros(200 * u64::from(item.is_multiple_of(3))));
                item * item
            };
            let collect = |result| {
                results.push(result);
                Ok::<_, Infallible>(())
            };
            in_order(&mut workers, (0..50).collect(), slow_first, collect).unwrap();
            assert_eq!(results, (0..50).map(|item| item * item).collect::<Vec<usize>>());
            assert_eq!(workers.iter().sum::<usize>(), 50);
        }
    }

    #[test]
    fn the_first_error_ends_the_work() {
        let begun = AtomicUsize::new(0);
        let work = |_: &mut (), item: usize| {
            begun.fetch_add(1, Ordering::Relaxed);
            item
        };
        let result =
            in_order(&mut [(), ()], (0..1000).collect(), work, |item| if item == 5 { Err(item) } else { Ok(()) });
        assert_eq!(result, Err(5));
        assert!(begun.load(Ordering::Relaxed) < 20);
    }

    #[test]
    fn there_may_be_nothing_to_do() {
        let done = |_| Ok::<_, Infallible>(());
        in_order(&mut [(), ()], Vec::<()>::new(), |(), ()| (), done).unwrap();
    }
}
