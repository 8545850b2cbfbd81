//! `tiergate health`

use std::process::ExitCode;

use super::{NO, YES, fail, say, small_runtime};
use crate::cli::UrlArgs;
use crate::client;

pub(super) fn run(args: &UrlArgs) -> ExitCode {
    let runtime = match small_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(error),
    };
    let server = match args.server() {
        Ok(server) => server,
        Err(error) => return fail(error),
    };
    match runtime.block_on(client::send(&server, "/readyz", None)) {
        Ok(reply) if reply.status == 200 => {
            say("ready");
            YES
        }
        Ok(reply) => {
            say(format!("not ready: {} {}", reply.status, reply.body));
            ExitCode::from(NO)
        }
        Err(error) => fail(error),
    }
}
