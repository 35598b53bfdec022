//! Root keys whose bytes are at hand, and what is common to all. Those of services and devices are tested in `tests/it`.

use super::*;
