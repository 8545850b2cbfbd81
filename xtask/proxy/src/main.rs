//! The proxy for hands: faults are typed while it runs.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool speaks on its standard streams")]

use std::io::BufRead as _;
use std::net::ToSocketAddrs as _;
use std::process::ExitCode;

use fault_proxy::{Direction, Fault, Proxy};

const USAGE: &str = "usage: tiergate-fault-proxy HOST:PORT\n\
    Then a line for each change: [requests|replies] FAULT, reset, close, refuse, accept, counters.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server] = &arguments[..] else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let address = server.to_socket_addrs().map_err(|error| format!("{server}: {error}"));
    let address = address.and_then(|mut all| all.next().ok_or_else(|| format!("{server} has no address")));
    match address.and_then(|address| Proxy::start(address).map_err(|error| error.to_string())) {
        Ok(proxy) => {
            println!("{} leads to {server}\n{USAGE}", proxy.address());
            for line in std::io::stdin().lock().lines().map_while(Result::ok).filter(|line| !line.trim().is_empty()) {
                match obey(&proxy, line.trim()) {
                    Ok(said) => println!("{said}"),
                    Err(why) => eprintln!("error: {why}"),
                }
            }
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn obey(proxy: &Proxy, line: &str) -> Result<String, String> {
    match line {
        "reset" => proxy.reset(),
        "close" => proxy.close(),
        "refuse" => proxy.refuse(),
        "accept" => proxy.accept().map_err(|error| error.to_string())?,
        "counters" => return Ok(format!("{:#?}", proxy.counters())),
        _ => {
            let one = [("requests ", Direction::Requests), ("replies ", Direction::Replies)];
            match one.into_iter().find_map(|(word, direction)| Some((line.strip_prefix(word)?, direction))) {
                Some((fault, direction)) => proxy.set_in(direction, fault.parse::<Fault>()?),
                None => proxy.set(line.parse::<Fault>()?),
            }
        }
    }
    Ok("done".to_owned())
}
