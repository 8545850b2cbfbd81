//! The laws of a tier, for the memory tier: alone, before a remote tier, behind one, and inside the wrappers.

use std::sync::Arc;
use std::time::Duration;

use cache_core::Clock;
use cache_core::testing::{FakeLayer, Fixture, Setting, SharedLayer, TestValue};
use cache_core::wrap::{Deadline, Switch};
use cache_l1::{MemoryConfig, MemoryLayer};

/// One shard, so that the largest entry is nine tenths of the budget.
const BUDGET_BYTES: u64 = 4 << 20;

fn memory() -> MemoryLayer<TestValue> {
    let config = MemoryConfig { budget_bytes: BUDGET_BYTES, shards: Some(1), ..MemoryConfig::default() };
    MemoryLayer::new(config).expect("the settings are within their bounds")
}

#[derive(Default)]
struct Memory;

impl Fixture for Memory {
    async fn layer(&self, _: &Setting) -> SharedLayer {
        SharedLayer::new(memory())
    }

    fn too_large(&self) -> Option<usize> {
        Some(BUDGET_BYTES as usize * 9 / 10)
    }
}

#[derive(Default)]
struct MemoryOfManyShards;

impl Fixture for MemoryOfManyShards {
    async fn layer(&self, _: &Setting) -> SharedLayer {
        SharedLayer::new(MemoryLayer::new(MemoryConfig::default()).expect("the defaults are within their bounds"))
    }
}

#[derive(Default)]
struct MemoryBeforeRemote;

impl Fixture for MemoryBeforeRemote {
    async fn layer(&self, _: &Setting) -> SharedLayer {
        SharedLayer::new(memory())
    }

    fn below(&self, _: &Setting) -> Vec<SharedLayer> {
        vec![SharedLayer::new(FakeLayer::remote("remote"))]
    }
}

#[derive(Default)]
struct MemoryBehindRemote;

impl Fixture for MemoryBehindRemote {
    async fn layer(&self, _: &Setting) -> SharedLayer {
        SharedLayer::new(memory())
    }

    fn above(&self, _: &Setting) -> Vec<SharedLayer> {
        vec![SharedLayer::new(FakeLayer::remote("remote"))]
    }
}

#[derive(Default)]
struct MemoryInWrappers;

impl Fixture for MemoryInWrappers {
    async fn layer(&self, setting: &Setting) -> SharedLayer {
        let clock = Arc::clone(&setting.clock) as Arc<dyn Clock>;
        SharedLayer::new(Switch::new(Deadline::new(memory(), Duration::from_secs(1), clock)).0)
    }

    fn too_large(&self) -> Option<usize> {
        Some(BUDGET_BYTES as usize * 9 / 10)
    }
}

mod alone {
    cache_core::conformance!(super::Memory);
}

mod of_many_shards {
    cache_core::conformance!(super::MemoryOfManyShards);
}

mod before_a_remote_tier {
    cache_core::conformance!(super::MemoryBeforeRemote);
}

mod behind_a_remote_tier {
    cache_core::conformance!(super::MemoryBehindRemote);
}

mod in_wrappers {
    cache_core::conformance!(super::MemoryInWrappers);
}
