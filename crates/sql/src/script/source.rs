use std::rc::Rc;

use crate::Dsn;
use crate::hold::Hold;
use crate::pool::Pool;
use crate::tls::TlsSetup;

/// Where the connections of a thread's clients come from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// Each client keeps one.
    Own(Rc<(Dsn, TlsSetup)>),
    /// A new one for each transaction.
    Fresh(Rc<(Dsn, TlsSetup)>),
    /// A pool of so many, to which they go back after a pause.
    Pool(Pool, usize, Hold),
}
