//! Threads that build while others answer.

use thread_priority::{ThreadPriority, ThreadPriorityValue, set_current_thread_priority};

/// A niceness of about 10: a tenth of a core where answers want all of them, so that a build is late and never starves.
const PATIENT: u8 = 24;

/// A pool of so many threads that stand back for others. Where the system does not let them they are like any other.
///
/// # Errors
/// When the system gives no more threads.
pub fn background(threads: usize) -> Result<rayon::ThreadPool, rayon::ThreadPoolBuildError> {
    let stand_back = |_| {
        if let Ok(patient) = ThreadPriorityValue::try_from(PATIENT) {
            set_current_thread_priority(ThreadPriority::Crossplatform(patient)).ok();
        }
    };
    rayon::ThreadPoolBuilder::new().num_threads(threads).start_handler(stand_back).build()
}
