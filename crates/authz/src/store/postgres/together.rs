//! Work that is done once for all who ask for it before it starts.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use super::super::StoreError;

/// The outcome, for each who asked.
pub(super) type Outcome<O> = Shared<BoxFuture<'static, Result<O, StoreError>>>;

/// Brings those together who ask for something at the same time.
pub(super) struct Together<I, O> {
    /// What waits to start.
    next: Mutex<Option<Next<I, O>>>,
    most: usize,
}

struct Next<I, O> {
    asked: Arc<Mutex<Option<Vec<I>>>>,
    outcome: WeakShared<BoxFuture<'static, Result<O, StoreError>>>,
}

/// What is asked of work that has not started. Once it is closed, or gone, nobody joins.
pub(super) struct Asked<I>(Arc<Mutex<Option<Vec<I>>>>);

impl<I: Send + 'static, O: Clone + Send + Sync + 'static> Together<I, O> {
    /// At most so many share one work.
    pub(super) const fn new(most: usize) -> Self {
        Self { next: Mutex::new(None), most }
    }

    /// Joins the work that waits to start, or begins with another one. Says in which place among all that is asked of it, too.
    pub(super) fn join<F>(&self, asks: I, work: impl FnOnce(Asked<I>) -> F) -> (usize, Outcome<O>)
    where
        F: Future<Output = Result<O, StoreError>> + Send + 'static,
    {
        let mut next = lock(&self.next);
        if let Some(known) = &*next
            && let Some(asked) = &mut *lock(&known.asked)
            && asked.len() < self.most
            && let Some(outcome) = known.outcome.upgrade()
        {
            asked.push(asks);
            return (asked.len() - 1, outcome);
        }
        let asked = Arc::new(Mutex::new(Some(vec![asks])));
        let work = work(Asked(Arc::clone(&asked)));
        let work = async move {
            // Whoever is about to ask as well, such as the other questions of a batch, gets the time to.
            tokio::task::yield_now().await;
            work.await
        };
        let outcome = work.boxed().shared();
        *next = outcome.downgrade().map(|outcome| Next { asked, outcome });
        (0, outcome)
    }
}

impl<I> Asked<I> {
    /// All that is asked, in its order.
    pub(super) fn close(self) -> Vec<I> {
        lock(&self.0).take().unwrap_or_default()
    }
}

impl<I> Drop for Asked<I> {
    fn drop(&mut self) {
        drop(lock(&self.0).take());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    /// Answers with all that was asked.
    fn ask(together: &Together<u32, Vec<u32>>, asks: u32) -> (usize, Outcome<Vec<u32>>) {
        together.join(asks, |asked| async move { Ok(asked.close()) })
    }

    #[tokio::test]
    async fn those_who_ask_at_once_share() {
        let together = Together::new(3);
        let (places, outcomes): (Vec<_>, Vec<_>) = (0..5).map(|asks| ask(&together, asks)).unzip();
        assert_eq!(places, [0, 1, 2, 0, 1]);
        let answers: Vec<_> = join_all(outcomes).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers, [vec![0, 1, 2], vec![0, 1, 2], vec![0, 1, 2], vec![3, 4], vec![3, 4]]);
    }

    #[tokio::test]
    async fn nobody_joins_what_was_started_or_given_up_or_has_failed() {
        let together = Together::new(3);
        let (_, first) = ask(&together, 1);
        assert_eq!(first.clone().await.unwrap(), [1]);
        let (place, second) = ask(&together, 2);
        assert_eq!(place, 0);
        drop(second);
        let (place, third) = ask(&together, 3);
        assert_eq!(place, 0);
        assert_eq!(third.await.unwrap(), [3]);
        let (_, failed) = together.join(4, |_asked| async { Err(StoreError::Closed) });
        assert!(failed.clone().await.is_err());
        let (_, fifth) = ask(&together, 5);
        assert_eq!(fifth.await.unwrap(), [5]);
    }

    #[tokio::test]
    async fn who_began_with_it_may_go() {
        let together = Together::new(3);
        let (_, first) = ask(&together, 1);
        let (place, second) = ask(&together, 2);
        drop(first);
        assert_eq!((place, second.await.unwrap()), (1, vec![1, 2]));
    }
}
