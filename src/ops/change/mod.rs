//! What moves an environment: its gates, promotions and rollbacks, and the review that comes
//! before.

pub(in crate::ops) mod declared;
pub(in crate::ops) mod environment;
pub(in crate::ops) mod gates;
pub(in crate::ops) mod home;
pub(in crate::ops) mod partial;
pub(in crate::ops) mod promote;
pub(in crate::ops) mod publish;
pub(in crate::ops) mod reading;
pub(in crate::ops) mod replay;
pub(in crate::ops) mod review;
pub(in crate::ops) mod rollback;
pub(in crate::ops) mod safeguards;
pub(in crate::ops) mod timing;
pub(in crate::ops) mod undo;
pub(in crate::ops) mod weaken;
