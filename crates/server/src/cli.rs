//! The command line. Its help is where most people meet the product first, so that it teaches by examples.

mod keys;
mod ring;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::client::Server;
use crate::config::{Flag, Sources};
use crate::transfer::Format;
pub use keys::KeysCommand;
pub use ring::RingCommand;

const EXAMPLES: &str = "\
Examples:
  tiergate                                       serve on port 8080, data in ./tiergate-data
  tiergate --port 9000 --data /var/lib/tiergate  the same, elsewhere
  tiergate check user:ann viewer document:plan   ask the running server
  tiergate config                                every setting, its value, and where it comes from

Settings come from flags, then environment variables (TIERGATE_HTTP__PORT=9000), then a file
(tiergate.toml), then defaults.
Exit status: 0 yes or done, 1 no (a deny, a failed test, not ready), 2 it could not be carried out,
75 start the server again (PostgreSQL holds another history, as after a failover).";

const SERVE_EXAMPLES: &str = "\
Examples:
  tiergate serve --port 9000 --data /var/lib/tiergate
  tiergate serve --config /etc/tiergate/tiergate.toml

Exit status: 0 it was told to end, 2 it could not start or go on, 130 after a second signal,
75 start it again: PostgreSQL holds another history, as after a failover to a replica, and a new
process joins that one. Run it under a supervisor that does so (systemd: Restart=on-failure).";

const IMPORT_EXAMPLES: &str = "\
Examples:
  tiergate import store.fga.yaml                    a new store with its model and relationships
  tiergate import tuples.csv --store 01ARZ3NDEKTSV4RRFFQ69G5FAV
  tiergate import tuples.csv --store 01ARZ3NDEKTSV4RRFFQ69G5FAV   again: goes on where it stopped
  tiergate import tuples.csv --store 01ARZ3NDEKTSV4RRFFQ69G5FAV --direct
                                                    a million in seconds, straight into PostgreSQL

A CSV file names its columns in the first line:
  user_type,user_id,user_relation,relation,object_type,object_id,condition_name,condition_context";

const DIFF_EXAMPLES: &str = "\
Examples:
  tiergate model diff old.fga new.fga --requests store.fga.yaml
  tiergate export --store 01ARZ3NDEKTSV4RRFFQ69G5FAV --output tuples.csv
  tiergate model diff old.fga new.fga --requests questions.csv --tuples tuples.csv

Exit status: 0 nothing would change, 1 something would, 2 it could not be found out.";

const CHECK_EXAMPLES: &str = "\
Examples:
  tiergate check user:ann viewer document:plan
  tiergate check user:ann viewer document:plan --context '{\"ip\":\"10.0.0.1\"}'
  tiergate check user:ann viewer document:plan --explain   which relationships and which tier decided";

const TRAIN_EXAMPLES: &str = "\
Examples:
  tiergate cache train --config tiergate.toml
  tiergate cache train --type team_access --samples 5000 --output /etc/tiergate

Reads values that the servers have put into Redis, with their settings and their master key, and trains a zstd
dictionary for each cache type. A dictionary makes short lists a good deal smaller, and worth being trained
anew when the shape of the data changes. The user in Redis needs SCAN and GET.

Give the files to every instance before one of them names them: an instance that does not know a dictionary
misses the values that were compressed with it.

Exit status: 0 a dictionary was written, 1 none was worth it, 2 it could not be carried out.";

/// Answers "may this subject do this to this resource?", fast, and honours a revocation at once.
#[derive(Debug, Parser)]
#[command(name = "tiergate", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; `serve` without.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Settings of `serve`.
    #[command(flatten)]
    pub settings: SettingsArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve decisions over HTTP (what happens without a command)
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(SettingsArgs),
    /// Ask the running server one question; exit status 0 is allow, 1 is deny
    Check(CheckArgs),
    /// Bring relationships, and a model, into the running server; repeated, it goes on where it stopped
    Import(ImportArgs),
    /// Write a store's model and relationships into a file
    Export(ExportArgs),
    /// Look at authorization models and test them, without a server
    #[command(subcommand)]
    Model(ModelCommand),
    /// Look after what lies in the shared cache
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Make and change a ring of master keys: rotate them without a restart and without a miss
    #[command(subcommand)]
    Ring(RingCommand),
    /// Make and change the keys by which callers are known
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Print every setting with its value and its origin, as a file that could be used
    Config(SettingsArgs),
    /// Ask the running server whether it is ready; made for the health check of a container
    Health(UrlArgs),
}

/// Flags that are settings.
#[derive(Clone, Debug, Default, Args)]
pub struct SettingsArgs {
    /// Read settings from this file instead of ./tiergate.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address for decisions, models and relationships [http.address]
    #[arg(long)]
    pub address: Option<String>,
    /// Port for decisions, models and relationships; 0 takes a free one [http.port]
    #[arg(long)]
    pub port: Option<String>,
    /// Port for administration; 0 takes a free one [admin.port]
    #[arg(long)]
    pub admin_port: Option<String>,
    /// Directory of the data; created where it is missing [data.directory]
    #[arg(long, value_name = "DIRECTORY")]
    pub data: Option<String>,
    /// auto or off: fill an empty directory with a small world to try things out [data.demo]
    #[arg(long)]
    pub demo: Option<String>,
    /// error, warn, info, debug or trace [log.level]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// text or json [log.format]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Any other setting, as in --set limits.depth=30; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub set: Vec<(String, String)>,
}

/// The command `check`.
#[derive(Debug, Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub struct CheckArgs {
    /// Who asks, as type:id
    pub subject: String,
    /// What they want to do: a relation of the model
    pub relation: String,
    /// To what, as type:id
    pub object: String,
    /// The store to ask in; the server's default store without
    #[arg(long, value_name = "ID")]
    pub store: Option<String>,
    /// Values for conditions, as a JSON object
    #[arg(long, value_name = "JSON")]
    pub context: Option<String>,
    /// Properties for conditions, as a JSON object of objects: '{"subject":{"level":2},"resource":{},"action":{}}'
    #[arg(long, value_name = "JSON")]
    pub properties: Option<String>,
    /// Say why: the path to the answer, what each tier had, what the answer rests on
    #[arg(long)]
    pub explain: bool,
    /// Where the administration of the server is, which explains
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8081")]
    pub admin_url: String,
    /// Where the server is.
    #[command(flatten)]
    pub url: UrlArgs,
}

/// The command `import`.
#[derive(Debug, Args)]
#[command(after_help = IMPORT_EXAMPLES)]
pub struct ImportArgs {
    /// Store files (.fga.yaml) and files of relationships (.yaml, .json, .csv)
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The store to import into; a new one is created for a store file without
    #[arg(long, value_name = "ID")]
    pub store: Option<String>,
    /// The name of a new store; what the store file says without
    #[arg(long, conflicts_with = "store")]
    pub name: Option<String>,
    /// Let the store file's model become the latest one of a store that has another
    #[arg(long)]
    pub replace_model: bool,
    /// Batches of 100 relationships that are under way at the same time; those that wait share a flush of the disk
    #[arg(long, value_name = "COUNT", default_value_t = 32, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub parallel: u8,
    /// Where to remember how far it came; beside the first file without
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// Go on where the server refuses a relationship, and name those at the end (exit status 1)
    #[arg(long)]
    pub skip_refused: bool,
    /// Write to PostgreSQL itself, of the settings, by COPY: for hundreds of thousands of relationships. What is there already stays as it is
    #[arg(long, conflicts_with_all = ["url", "parallel", "journal"])]
    pub direct: bool,
    /// With --direct: read settings from this file instead of ./tiergate.toml
    #[arg(long, value_name = "FILE", requires = "direct")]
    pub config: Option<PathBuf>,
    /// Where the server is.
    #[command(flatten)]
    pub url: UrlArgs,
}

/// The command `export`.
#[derive(Debug, Args)]
#[command(after_help = "Example: tiergate export --store 01ARZ3NDEKTSV4RRFFQ69G5FAV --output backup.fga.yaml")]
pub struct ExportArgs {
    /// The store
    #[arg(long, value_name = "ID")]
    pub store: String,
    /// Where to write; the standard output without
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// How to write; by the ending of the file without, and yaml where that says nothing
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Where the server is.
    #[command(flatten)]
    pub url: UrlArgs,
}

/// Where the server is.
#[derive(Debug, Args)]
pub struct UrlArgs {
    /// The running server's address
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// The key to show there.
    #[command(flatten)]
    pub key: KeyArgs,
}

/// The key to show, and whom to trust.
#[derive(Clone, Debug, Default, Args)]
pub struct KeyArgs {
    /// A file that holds the API key to show, where the server asks for one
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// A file with the authorities, in PEM, that may vouch for a server at https; those of this machine without
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

impl UrlArgs {
    /// The server with the key.
    ///
    /// # Errors
    /// As [`KeyArgs::server`].
    pub fn server(&self) -> Result<Server, String> {
        self.key.server(&self.url)
    }
}

impl KeyArgs {
    /// The server at an address, with the key.
    ///
    /// # Errors
    /// Where the file can't be read, or others may read it.
    pub fn server(&self, url: &str) -> Result<Server, String> {
        Server::new(url, self.key_file.as_deref(), self.ca_file.as_deref())
    }
}

/// Work on the shared cache.
#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Train dictionaries for compression on what lies in Redis
    Train(CacheTrainArgs),
}

/// The command `cache train`.
#[derive(Debug, Args)]
#[command(after_help = TRAIN_EXAMPLES)]
pub struct CacheTrainArgs {
    /// A cache type, as in team_access; may be repeated; all of them without
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// Samples of each type
    #[arg(long, value_name = "COUNT", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    pub samples: u32,
    /// The largest size of a dictionary
    #[arg(long, value_name = "BYTES", default_value_t = 8_192, value_parser = clap::value_parser!(u32).range(1_024..=1_048_576))]
    pub max_bytes: u32,
    /// Directory of the dictionaries; created where it is missing
    #[arg(long, value_name = "DIRECTORY", default_value = "tiergate-dictionaries")]
    pub output: PathBuf,
    /// Settings of the servers.
    #[command(flatten)]
    pub settings: SettingsArgs,
}

/// Work on models.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Say whether a model (DSL or JSON) makes sense, with the place of each fault
    Validate {
        /// The model: model.fga, model.json, fga.mod, or a store file
        file: PathBuf,
    },
    /// Say which decisions a new model would change, without changing anything
    Diff(ModelDiffArgs),
    /// Run store files: a model, relationships, and the answers that are expected
    Test(ModelTestArgs),
}

/// The command `model diff`.
#[derive(Debug, Args)]
#[command(after_help = DIFF_EXAMPLES)]
pub struct ModelDiffArgs {
    /// The model as it is: .fga, .json, fga.mod, or a store file
    pub old: PathBuf,
    /// The model as it is to be
    pub new: PathBuf,
    /// What to ask: a store file (its checks, on its relationships), or a list of user, relation, object and context in YAML, JSON or CSV
    #[arg(long, value_name = "FILE")]
    pub requests: PathBuf,
    /// Relationships to ask about, as `tiergate export` writes them (.fga.yaml, .yaml, .json, .csv); may be repeated
    #[arg(long, value_name = "FILE")]
    pub tuples: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The command `model test`.
#[derive(Debug, Args)]
#[command(after_help = "Example: tiergate model test tests/*.fga.yaml")]
pub struct ModelTestArgs {
    /// Store files in OpenFGA's form
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Ask with a cache, without, or both ways and compare
    #[arg(long, value_enum, default_value_t = CacheMode::Both)]
    pub cache: CacheMode,
    /// Ask this running server instead, as in http://127.0.0.1:8080; each test gets a store there, deleted afterwards
    #[arg(long, value_name = "URL", conflicts_with = "cache")]
    pub url: Option<String>,
    /// The key to show there.
    #[command(flatten)]
    pub key: KeyArgs,
}

/// Whether tests ask with a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CacheMode {
    /// With a cache.
    On,
    /// Without one.
    Off,
    /// Both ways; the answers must agree.
    Both,
}

impl SettingsArgs {
    /// The sources that the flags stand for.
    #[must_use]
    pub fn sources(&self) -> Sources {
        let named = [
            ("--address", "http.address", &self.address),
            ("--port", "http.port", &self.port),
            ("--admin-port", "admin.port", &self.admin_port),
            ("--data", "data.directory", &self.data),
            ("--demo", "data.demo", &self.demo),
            ("--log-level", "log.level", &self.log_level),
            ("--log-format", "log.format", &self.log_format),
        ];
        let named = named.into_iter().filter_map(|(flag, key, value)| {
            // A directory is text also where its name is a number.
            let is_text = key == "data.directory";
            value.clone().map(|value| Flag { flag, key: key.to_owned(), value, is_text })
        });
        let set = self.set.iter().map(|(key, value)| {
            let (key, value) = (key.clone(), value.clone());
            Flag { flag: "--set", key, value, is_text: false }
        });
        Sources { file: self.config.clone(), flags: named.chain(set).collect() }
    }
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE, for example limits.depth=30".to_owned()),
    }
}
