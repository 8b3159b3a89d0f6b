//! Noticing reads that take too long, without a timer for each.
//!
//! All reads of a link may take equally long, so they are due in the order in which they began: they
//! stand in a queue, and a thread sleeps until the first of them is due. That costs a read two short
//! locks; a timer of the runtime costs several times as much, which is felt where many hits are under
//! way. It is a thread and no task so that it keeps time for callers in any runtime, also while the
//! one that the cache was built in is busy.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// A longer limit is this one: clocks do not reach as far as a [`Duration`] does.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// The limit of a link's reads. The thread ends with it.
pub(crate) struct Overdue {
    waits: Arc<Waits>,
}

struct Waits {
    limit: Duration,
    queue: Mutex<Queue>,
    call: Condvar,
}

#[derive(Default)]
struct Queue {
    places: VecDeque<Place>,
    /// The number of the first of them.
    first: u64,
    /// Whether the thread sleeps until it is called.
    asleep: bool,
    closed: bool,
}

struct Place {
    due: Instant,
    /// None when the read has ended.
    waker: Option<Waker>,
}

impl Overdue {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// That of the system, when it has no room for another thread.
    pub(crate) fn new(limit: Duration) -> io::Result<Self> {
        let limit = limit.min(FOR_EVER);
        let waits = Waits { limit, queue: Mutex::default(), call: Condvar::new() };
        let waits = Arc::new(waits);
        let thread = std::thread::Builder::new().name("cache-overdue".to_owned());
        let own = Arc::clone(&waits);
        thread.spawn(move || own.watch())?;
        Ok(Self { waits })
    }

    /// What the read answers; nothing when it has not by the limit after it `began`, which is now.
    pub(crate) async fn within<F: Future>(&self, began: Instant, read: F) -> Option<F::Output> {
        let mut read = pin!(read);
        let mut ticket: Option<Ticket<'_>> = None;
        poll_fn(|context| {
            if let Poll::Ready(answer) = read.as_mut().poll(context) {
                return Poll::Ready(Some(answer));
            }
            match &ticket {
                None => ticket = Some(self.waits.enter(began, context.waker())),
                Some(ticket) if ticket.is_overdue(context.waker()) => return Poll::Ready(None),
                Some(_) => {}
            }
            Poll::Pending
        })
        .await
    }
}

impl Drop for Overdue {
    fn drop(&mut self) {
        self.waits.lock().closed = true;
        self.waits.call.notify_one();
    }
}

impl Waits {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, began: Instant, waker: &Waker) -> Ticket<'_> {
        let place = Place { due: began + self.limit, waker: Some(waker.clone()) };
        let mut queue = self.lock();
        let number = queue.next();
        queue.places.push_back(place);
        if std::mem::take(&mut queue.asleep) {
            self.call.notify_one();
        }
        Ticket { waits: self, number }
    }

    fn watch(&self) {
        let mut queue = self.lock();
        let mut seen = 0;
        while !queue.closed {
            let now = Instant::now();
            let overdue = queue.take_overdue(now);
            if !overdue.is_empty() {
                drop(queue);
                overdue.into_iter().for_each(Waker::wake);
                queue = self.lock();
                continue;
            }
            let pause = match queue.places.front() {
                Some(place) => Some(place.due.saturating_duration_since(now)),
                // Reads come: none that begins during this pause is due before its end, so that none
                // of them need call.
                None if queue.next() != seen => Some(self.limit),
                None => None,
            };
            seen = queue.next();
            queue.asleep = pause.is_none();
            queue = match pause {
                Some(pause) => {
                    let woken = self.call.wait_timeout(queue, pause);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.call.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

impl Queue {
    /// The number of the next place.
    fn next(&self) -> u64 {
        self.first + self.places.len() as u64
    }

    fn at(&mut self, number: u64) -> Option<&mut Place> {
        let at = number.checked_sub(self.first)?;
        self.places.get_mut(usize::try_from(at).ok()?)
    }

    fn take_overdue(&mut self, now: Instant) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while let Some(place) = self.places.front_mut().filter(|place| place.due <= now) {
            wakers.extend(place.waker.take());
            self.pop();
        }
        wakers
    }

    fn pop(&mut self) {
        self.first += u64::from(self.places.pop_front().is_some());
    }
}

/// A read's place in the queue.
struct Ticket<'a> {
    waits: &'a Waits,
    number: u64,
}

impl Ticket<'_> {
    /// Whether the thread has taken it out of the queue; `waker` is woken when it does.
    fn is_overdue(&self, waker: &Waker) -> bool {
        match self.waits.lock().at(self.number) {
            Some(Place { waker: Some(own), .. }) => own.clone_from(waker),
            Some(place) => place.waker = Some(waker.clone()),
            None => return true,
        }
        false
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut queue = self.waits.lock();
        if let Some(place) = queue.at(self.number) {
            place.waker = None;
        }
        while queue.places.front().is_some_and(|place| place.waker.is_none()) {
            queue.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use std::sync::Weak;
    use tokio::time::sleep;

    const LIMIT: Duration = Duration::from_millis(40);

    /// How long it took until a read that never ends was given up.
    async fn given_up(overdue: &Overdue) -> Duration {
        let began = Instant::now();
        assert_eq!(overdue.within(began, pending::<()>()).await, None);
        began.elapsed()
    }

    #[tokio::test]
    async fn a_read_is_given_up_at_its_limit_and_not_before() {
        let overdue = Overdue::new(LIMIT).unwrap();
        for pause in [0, 1, 3] {
            // The thread sleeps for the limit after the last read, and then until it is called.
            sleep(LIMIT * pause).await;
            let took = given_up(&overdue).await;
            assert!(took >= LIMIT, "after {pause} limits: {took:?}");
        }
    }

    #[tokio::test]
    async fn a_read_that_answers_leaves_no_place() {
        let overdue = Overdue::new(LIMIT).unwrap();
        assert_eq!(overdue.within(Instant::now(), ready(1)).await, Some(1));
        let late = async {
            tokio::task::yield_now().await;
            2
        };
        assert_eq!(overdue.within(Instant::now(), late).await, Some(2));
        assert!(overdue.waits.lock().places.is_empty());
        assert_eq!(overdue.waits.lock().first, 1, "the first had none");
    }

    #[tokio::test]
    async fn each_of_many_has_its_own_limit() {
        let overdue = Overdue::new(LIMIT).unwrap();
        let soon = async {
            sleep(LIMIT / 4).await;
            1
        };
        let later = async {
            sleep(LIMIT / 2).await;
            given_up(&overdue).await
        };
        let own = given_up(&overdue);
        let (answer, own, later) = tokio::join!(overdue.within(Instant::now(), soon), own, later);
        assert_eq!(answer, Some(1));
        assert!(own >= LIMIT && later >= LIMIT, "{own:?} {later:?}");
        assert!(overdue.waits.lock().places.is_empty());
    }

    #[tokio::test]
    async fn a_read_that_is_dropped_or_moved_to_another_task_is_no_matter() {
        let overdue = Arc::new(Overdue::new(LIMIT).unwrap());
        let own = Arc::clone(&overdue);
        let mut moved = Box::pin(async move { given_up(&own).await });
        tokio::select! { biased; _ = &mut moved => panic!("at once"), () = ready(()) => {} }
        let gone = tokio::time::timeout(LIMIT / 8, given_up(&overdue)).await;
        assert!(gone.is_err());
        let took = tokio::spawn(moved).await.unwrap();
        assert!(took >= LIMIT, "{took:?}");
    }

    #[test]
    fn the_thread_ends_with_it() {
        let overdue = Overdue::new(LIMIT).unwrap();
        let waits: Weak<Waits> = Arc::downgrade(&overdue.waits);
        drop(overdue);
        let began = Instant::now();
        while waits.strong_count() > 0 {
            assert!(began.elapsed() < Duration::from_secs(10), "it goes on");
            std::thread::yield_now();
        }
    }
}
