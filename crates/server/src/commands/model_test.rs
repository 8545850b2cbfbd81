//! `tiergate model test`: runs store files in this process, or against a server.

use std::process::ExitCode;

use authz::storefile::{Decider, Fault, InProcess, Report};
use cache_l1::{MemoryConfig, MemoryLayer};

use super::model_test_http::Http;
use super::{FAILED, NO, YES, fail, say, small_runtime};
use crate::cli::{CacheMode, ModelTestArgs};

/// The memory of a test's cache: a store file's answers are few.
const CACHE_BYTES: u64 = 4 << 20;

pub(super) fn run(args: &ModelTestArgs) -> ExitCode {
    match small_runtime() {
        Ok(runtime) => runtime.block_on(run_all(args)),
        Err(error) => fail(error),
    }
}

async fn run_all(args: &ModelTestArgs) -> ExitCode {
    let ModelTestArgs { files: _, cache, url, key } = args;
    let mut passed = YES;
    match url {
        Some(url) => {
            let mut server = match key.server(url) {
                Ok(server) => Http::new(server),
                Err(error) => return fail(error),
            };
            passed = report("over HTTP", args, &mut server).await;
            if let Err(why) = server.clean_up().await {
                return fail(format!("the store of the last test could not be deleted: {why}"));
            }
        }
        None => {
            if *cache != CacheMode::On {
                passed = report("without a cache", args, &mut InProcess::new(|point| point)).await;
            }
            if *cache != CacheMode::Off {
                let tier = || MemoryLayer::new(MemoryConfig { budget_bytes: CACHE_BYTES, ..MemoryConfig::default() });
                if let Err(error) = tier() {
                    return fail(error);
                }
                // Where a tier could be built once, it can be built again.
                let mut cached = InProcess::new(|point| match tier() {
                    Ok(tier) => point.tier(tier),
                    Err(_) => point,
                });
                let cached = report("with a cache", args, &mut cached).await;
                passed = if passed == YES { cached } else { passed };
            }
        }
    }
    passed
}

/// The exit status: a file or a server that can't be used is no failed test.
async fn report(how: &str, args: &ModelTestArgs, decider: &mut dyn Decider) -> ExitCode {
    let mut report = Report::default();
    for file in &args.files {
        report.run(file, decider).await;
    }
    say(format!("{how}: {report}"));
    let unusable = report.failures.iter().any(|failure| matches!(failure.fault, Fault::Unusable(_)));
    match (report.is_success(), unusable) {
        (true, _) => YES,
        (false, true) => ExitCode::from(FAILED),
        (false, false) => ExitCode::from(NO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_of_a_test_can_be_built() {
        let config = MemoryConfig { budget_bytes: CACHE_BYTES, ..MemoryConfig::default() };
        assert!(MemoryLayer::<authz::decide::CachedValue>::new(config).is_ok());
    }
}
