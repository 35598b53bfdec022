//! Waiting for tokio-postgres on a thread that may or may not belong to a runtime. Futures are polled on the thread
//! itself; sockets and timers are driven by a small runtime of the store's own.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// Drives connections.
pub(super) struct Driver(Option<Runtime>);

/// Nothing happened in time.
pub(super) struct TimedOut;

impl Driver {
    pub(super) fn new() -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("key-store").enable_all().build()?;
        Ok(Self(Some(runtime)))
    }

    /// Waits for what does I/O itself.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, TimedOut> {
        let runtime = self.0.as_ref().expect("the runtime lives as long as the driver");
        // A work that panicked has no answer, and the time for it is over.
        self.wait(limit, runtime.spawn(work))?.map_err(|_| TimedOut)
    }

    /// Waits for a connection's answer.
    pub(super) fn wait<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Result<T, TimedOut> {
        let runtime = self.0.as_ref().expect("the runtime lives as long as the driver");
        let _timers = runtime.enter();
        block_on(tokio::time::timeout(limit, work)).map_err(|_| TimedOut)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The last owner may be a task, where a runtime may not be waited for.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let (mut work, mut context) = (pin!(work), Context::from_waker(&waker));
    loop {
        if let Poll::Ready(done) = work.as_mut().poll(&mut context) {
            return done;
        }
        std::thread::park();
    }
}
