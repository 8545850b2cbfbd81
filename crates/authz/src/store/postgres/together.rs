//! Work that is done once for all who ask for it before it starts.
//!
//! It runs in a task of its own, so that it goes on whoever of those who asked goes away, and ends with the last of them.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;

use super::super::StoreError;

type Told<O> = Option<Result<O, StoreError>>;

/// What comes of some work, for each who wants to know.
pub(super) struct Outcome<O>(watch::Receiver<Told<O>>);

impl<O: Clone + Send + Sync + 'static> Outcome<O> {
    /// Of work that is under way already.
    pub(super) fn of(work: impl Future<Output = Result<O, StoreError>> + Send + 'static) -> Self {
        let (tell, told) = watch::channel(None);
        tokio::spawn(Telling(Arc::new(tell)).of(work, None::<Arc<Waiting<()>>>));
        Self(told)
    }

    /// Waits for it.
    pub(super) async fn get(&self) -> Result<O, StoreError> {
        let mut told = self.0.clone();
        let outcome = told.wait_for(Option::is_some).await.ok().and_then(|told| Told::clone(&told));
        outcome.unwrap_or_else(|| Err(ended_early()))
    }
}

/// Tells all who wait, also where the work ends without an outcome.
struct Telling<O>(Arc<watch::Sender<Told<O>>>);

impl<O> Telling<O> {
    /// Ends with the work, or when nobody wants to know any more: what it holds is given back then.
    async fn of<I>(self, work: impl Future<Output = Result<O, StoreError>>, asked: Option<Arc<Waiting<I>>>) {
        tokio::select! {
            biased;
            outcome = work => {
                self.0.send_replace(Some(outcome));
            }
            () = self.forsaken(asked.as_deref()) => {}
        }
    }

    async fn forsaken<I>(&self, asked: Option<&Waiting<I>>) {
        loop {
            self.0.closed().await;
            // Whoever joins holds this: nobody does between the look and the end.
            let asking = asked.map(lock);
            if self.0.receiver_count() == 0 {
                if let Some(mut asking) = asking {
                    *asking = None;
                }
                return;
            }
        }
    }
}

impl<O> Drop for Telling<O> {
    fn drop(&mut self) {
        self.0.send_if_modified(|told| {
            let ends_early = told.is_none();
            if ends_early {
                *told = Some(Err(ended_early()));
            }
            ends_early
        });
    }
}

fn ended_early() -> StoreError {
    StoreError::Unavailable {
        operation: "reading together with others",
        cause: Arc::from("what reads for all of them has ended early"),
        remedy: "ask again",
    }
}

/// Brings those together who ask for something at the same time.
pub(super) struct Together<I, O> {
    /// What waits to start.
    next: Mutex<Option<Next<I, O>>>,
    most: usize,
    heaviest: usize,
}

struct Next<I, O> {
    asked: Arc<Waiting<I>>,
    /// Of the work, which alone keeps it: an outcome, and whatever it holds, lasts as long as those who asked.
    tell: Weak<watch::Sender<Told<O>>>,
}

/// What is asked; none once nobody can join any more.
type Waiting<I> = Mutex<Option<Asking<I>>>;

struct Asking<I> {
    asks: Vec<I>,
    weight: usize,
}

/// What is asked of work that has not started. Once it is closed, or gone, nobody joins.
pub(super) struct Asked<I>(Arc<Waiting<I>>);

impl<I: Send + 'static, O: Clone + Send + Sync + 'static> Together<I, O> {
    /// At most so many share one work, and together they weigh no more than this, but for one who weighs more alone.
    pub(super) const fn new(most: usize, heaviest: usize) -> Self {
        Self { next: Mutex::new(None), most, heaviest }
    }

    /// Joins the work that waits to start, or begins with another one. Says in which place among all that is asked of it, too.
    pub(super) fn join<F>(&self, asks: I, weight: usize, work: impl FnOnce(Asked<I>) -> F) -> (usize, Outcome<O>)
    where
        F: Future<Output = Result<O, StoreError>> + Send + 'static,
    {
        let mut next = lock(&self.next);
        if let Some(known) = &*next
            && let Some(asking) = &mut *lock(&known.asked)
            && asking.asks.len() < self.most
            && asking.weight.saturating_add(weight) <= self.heaviest
            && let Some(tell) = known.tell.upgrade()
        {
            asking.asks.push(asks);
            asking.weight += weight;
            return (asking.asks.len() - 1, Outcome(tell.subscribe()));
        }
        let asked = Arc::new(Mutex::new(Some(Asking { asks: vec![asks], weight })));
        let (tell, told) = watch::channel(None);
        let tell = Arc::new(tell);
        let work = work(Asked(Arc::clone(&asked)));
        let work = async move {
            // Whoever is about to ask as well, such as the other questions of a batch, gets the time to.
            tokio::task::yield_now().await;
            work.await
        };
        *next = Some(Next { asked: Arc::clone(&asked), tell: Arc::downgrade(&tell) });
        tokio::spawn(Telling(tell).of(work, Some(asked)));
        (0, Outcome(told))
    }
}

impl<I> Asked<I> {
    /// All that is asked, in its order.
    pub(super) fn close(self) -> Vec<I> {
        lock(&self.0).take().map(|asking| asking.asks).unwrap_or_default()
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
    use super::*;

    /// Answers with all that was asked.
    fn ask(together: &Together<usize, Vec<usize>>, asks: usize) -> (usize, Outcome<Vec<usize>>) {
        together.join(asks, asks, |asked| async move { Ok(asked.close()) })
    }

    #[tokio::test]
    async fn those_who_ask_at_once_share_as_many_as_fit_and_as_they_weigh() {
        let together = Together::new(3, 10);
        let (places, outcomes): (Vec<_>, Vec<_>) =
            [0, 1, 2, 3, 4, 5, 20, 1].into_iter().map(|asks| ask(&together, asks)).unzip();
        assert_eq!(places, [0, 1, 2, 0, 1, 0, 0, 0]);
        let mut answers = Vec::new();
        for outcome in outcomes {
            answers.push(outcome.get().await.unwrap());
        }
        let (first, second) = (vec![0, 1, 2], vec![3, 4]);
        let expected = [first.clone(), first.clone(), first, second.clone(), second, vec![5], vec![20], vec![1]];
        assert_eq!(answers, expected);
    }

    #[tokio::test]
    async fn nobody_joins_what_was_started_or_has_failed() {
        let together = Together::new(3, 10);
        let (_, first) = ask(&together, 1);
        assert_eq!(first.get().await.unwrap(), [1]);
        let (place, second) = ask(&together, 2);
        assert_eq!((place, second.get().await.unwrap()), (0, vec![2]));
        let (_, failed) = together.join(3, 3, |_asked| async { Err(StoreError::Closed) });
        assert!(failed.get().await.is_err());
        let (_, panicked) = together.join(4, 4, |asked| async move {
            let _asked = asked;
            panic!("as it should")
        });
        let (place, joined) = ask(&together, 5);
        assert_eq!(place, 1);
        assert!(panicked.get().await.is_err() && joined.get().await.is_err(), "they are told, and do not wait");
        let (_, sixth) = ask(&together, 6);
        assert_eq!(sixth.get().await.unwrap(), [6]);
    }

    #[tokio::test]
    async fn an_outcome_lasts_as_long_as_those_who_asked() {
        let together = Together::<(), Arc<()>>::new(3, 10);
        let (_, outcome) = together.join((), 1, |_asked| async { Ok(Arc::new(())) });
        let held = Arc::downgrade(&outcome.get().await.unwrap());
        assert!(held.upgrade().is_some());
        drop(outcome);
        assert!(held.upgrade().is_none(), "nobody else keeps it");
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_ends() {
        let together = Together::<(), ()>::new(3, 10);
        let held = Arc::new(());
        let holds = Arc::clone(&held);
        let (_, first) = together.join((), 1, |_asked| async move {
            let _holds = holds;
            std::future::pending().await
        });
        let own = Arc::clone(&held);
        let second = Outcome::<()>::of(async move {
            let _own = own;
            std::future::pending().await
        });
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&held), 3);
        drop((first, second));
        while Arc::strong_count(&held) > 1 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn nobody_joins_work_that_the_others_have_just_given_up() {
        let together = Arc::new(Together::<(), ()>::new(3, 10));
        let ask = |round: u32, stays: bool| {
            let together = Arc::clone(&together);
            async move {
                for _ in 0..round {
                    let (_, outcome) = together.join((), 1, |asked| async move {
                        tokio::task::yield_now().await;
                        drop(asked.close());
                        Ok(())
                    });
                    if stays {
                        assert!(outcome.get().await.is_ok());
                    } else {
                        drop(outcome);
                        tokio::task::yield_now().await;
                    }
                }
            }
        };
        let all: Vec<_> = [false, false, true, true].map(|stays| tokio::spawn(ask(20_000, stays))).into();
        for one in all {
            one.await.unwrap();
        }
    }

    #[tokio::test]
    async fn whoever_asked_first_may_go() {
        let together = Together::new(3, 10);
        let (_, first) = ask(&together, 1);
        let (place, second) = ask(&together, 2);
        drop(first);
        assert_eq!((place, second.get().await.unwrap()), (1, vec![1, 2]));
    }
}
