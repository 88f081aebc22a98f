//! What people type: `cargo xtask demo | test | bench | plugins | contract | operators | javascript`. Each does its own set-up and says what it installs.

#![expect(clippy::print_stdout, reason = "a command's answer goes to standard output")]

mod bench;
mod check;
mod contract;
mod demo;
mod operators;
mod plugins;
mod setup;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask demo [--check] [--port N]   generate a storefront, serve it and stay up; --check proves it and exits
cargo xtask test                        everything CI checks: format, lints, docs, licences, tests
cargo xtask bench [quality|serve|sandbox|releases|models|index|events|durability|scale]   measure; JSON lines
cargo xtask bench index --full | --large   the index on its large sets, ten minutes; with a million rows, an hour
cargo xtask plugins                     build the shipped strategies into target/plugins
cargo xtask contract                    write docs/contract.md from sdk/wit
cargo xtask operators                   run the ONNX project's node tests, write docs/operators.md
cargo xtask javascript                  build qianmian-js, which builds strategies in JavaScript and TypeScript
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["demo", ref rest @ ..] => demo::run(rest),
        ["test"] => check::run(),
        ["bench"] => bench::run(None, &[]),
        ["bench", name, ref options @ ..] => bench::run(Some(name), options),
        ["plugins"] => setup::plugins(),
        ["contract"] => contract::write(),
        ["operators"] => operators::write(),
        ["javascript"] => setup::javascript().map(drop),
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
