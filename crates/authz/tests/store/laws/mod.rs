//! Each law is one function over any origin, and one test for each of them under its own name.

mod conditions;
mod lists;
mod positions;
mod reads;
mod records;
mod reverse;
mod sink;
mod stores;
mod writes;

/// A module of tests for each origin: `laws!(a_law, another_law)`.
macro_rules! laws {
    ($($law:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                super::$law::<crate::support::Memory>().await;
            })+
        }
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                super::$law::<crate::support::Sqlite>().await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                if crate::support::Postgres::is_there() {
                    super::$law::<crate::support::Postgres>().await;
                }
            })+
        }
    };
}
pub(crate) use laws;
