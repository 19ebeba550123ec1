//! `docs/configuration.md`, generated from the definition of the command line.
//!
//! `UPDATE_DOCS=1 cargo test -p tagledger --bin tagledger reference` writes the file.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use clap::{Arg, Command, CommandFactory};

use super::Cli;

const HEAD: &str = "# Configuration

<!-- Generated from src/cli.rs. A test compares the two; UPDATE_DOCS=1 cargo test -p tagledger --bin tagledger reference writes this file. -->

Each setting is an environment variable and a command-line flag. A flag has priority over its variable. An unknown variable that
begins with `TAGLEDGER_` is an error: the program ends before it does anything.

The AWS SDK reads its own variables (`AWS_*`) and files as usual. These include `AWS_PROFILE`, `AWS_REGION` and `AWS_ENDPOINT_URL`.

The column *commands* lists the commands that have the setting. `all` means every command.
";

const FACTS: &str = "
## Additional information

| setting | information |
|---|---|
| `TAGLEDGER_POLICY` | A server applies changes of the file while it runs. A scanner reads the file at every scan. |
| `REDIS_URL` | Scanners of one account share a lease, and servers share answers. `rediss://` uses TLS. The value is not shown in help texts. |
| `TAGLEDGER_LISTEN` | Used by `server` and `demo`. On an address that other machines can reach, `server` requires API keys or OAuth. |
| `TAGLEDGER_CONTROL_LISTEN` | The control port serves rescans, progress, health and metrics. |
| `TAGLEDGER_SCHEDULE`, `TAGLEDGER_TIME_ZONE` | A run that was missed while the scanner was stopped starts once. A local time that daylight saving time skips runs later on the same day; a repeated local time runs once. |
| `TAGLEDGER_JITTER_SECONDS` | 0 to 86,400. The delay of a scheduled scan is at most this many seconds. |
| `TAGLEDGER_ROLE_NAME`, `TAGLEDGER_EXTERNAL_ID`, `TAGLEDGER_RATE_PERCENT` | They apply to scans and to the live lookups of a server. |
| `TAGLEDGER_COST_REQUEST_BUDGET` | Each request costs USD 0.01. With 0, Cost Explorer is never called. |
| `TAGLEDGER_PAYER_ACCOUNT` | The scanner assumes the role `TAGLEDGER_ROLE_NAME` in this account. Without the setting, it reads the bill of the account of the credentials. |
| `TAGLEDGER_KEYS` | When the file exists, every request needs a key. This also applies to a server that is already running. |
| `TAGLEDGER_CONTROL_KEY` | One key for the control port, in addition to the key file. It has at least 16 characters. The value is not shown in help texts. |
| `TAGLEDGER_ALLOWED_HOSTS` | When it is set, keys are required on loopback addresses, too. |
| `TAGLEDGER_OAUTH_ISSUER`, `TAGLEDGER_OAUTH_RESOURCE`, `TAGLEDGER_OAUTH_JWKS` | Set all three or none. The issuer and the resource are https URLs. The resource is the URL of this server as clients know it, and the claim `aud` of the tokens. The key set is an https URL or a file. |
| `TAGLEDGER_AUDIT_DAYS` | 0 disables the audit log. |
| `TAGLEDGER_REQUESTS_PER_MINUTE` | One sixth of them may arrive at once. |
| `TAGLEDGER_MAX_AGE_HOURS` | The health depends on scans of the complete estate only. |
| `TAGLEDGER_LOG` | Logs go to standard error. The default is `info,aws=error,rmcp=warn,tokio_cron_scheduler=warn` for `scanner` and `server`, and for `scan` without a terminal. It is `warn,aws=error,rmcp=error` for `scan` in a terminal and for the other commands. An invalid filter causes a warning, and the default is used. |

## Other variables

These variables have no flag. TagLedger does not define them.

| variable | meaning |
|---|---|
| `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` | The OpenTelemetry collector. Without both, no traces are sent. |
| `OTEL_EXPORTER_OTLP_HEADERS` | Headers of the requests to the collector. |
| `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | The name and the attributes of this process in traces. |
| `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | Which traces are sent. |
| `OTEL_SDK_DISABLED` | `true` disables traces. |
| `MALLOC_MMAP_THRESHOLD_` | A setting of the glibc allocator. With `262144`, glibc returns freed memory to the system. |
| `JOBS` | A build argument of the container image: the number of parallel compiler jobs. |
| `TAGLEDGER_PUBLISH`, `TAGLEDGER_POLICY_FOLDER`, `TAGLEDGER_IMAGE` | Variables of `docker-compose.yml`. They are not passed to the processes. |

## Defaults of the container image

| variable | value |
|---|---|
| `TAGLEDGER_STORE` | `/data/tagledger.sqlite` |
| `TAGLEDGER_KEYS` | `/data/keys.json` |
| `TAGLEDGER_AUDIT` | `/data/audit.sqlite` |
| `TAGLEDGER_POLICY` | `/etc/tagledger/tagging_policy.json` |
| `TAGLEDGER_LISTEN` | `0.0.0.0:8080` |
| `TAGLEDGER_CONTROL_LISTEN` | `0.0.0.0:8081` |
| `TAGLEDGER_LOG_FORMAT` | `json` |
";

/// The number of settings. A setting that is removed must be removed here on purpose.
const SETTINGS: usize = 31;

/// A row of the table: the flag, the default, the meaning and the commands.
struct Setting {
    flag: String,
    default: String,
    meaning: String,
    commands: Vec<String>,
}

fn collect_settings(settings: &mut BTreeMap<String, Setting>, command: &Command, path: &str) {
    for argument in command.get_arguments() {
        if let (Some(variable), Some(flag)) = (argument.get_env(), argument.get_long()) {
            let new = || Setting {
                flag: flag.to_owned(),
                default: default_of(argument),
                meaning: argument.get_help().map(ToString::to_string).unwrap_or_default(),
                commands: Vec::new(),
            };
            let setting = settings.entry(variable.to_str().unwrap().to_owned()).or_insert_with(new);
            assert_eq!(setting.flag, flag, "a variable belongs to one flag");
            setting.commands.push(path.to_owned());
        }
    }
    for subcommand in command.get_subcommands() {
        collect_settings(settings, subcommand, format!("{path} {}", subcommand.get_name()).trim());
    }
}

fn default_of(argument: &Arg) -> String {
    let values: Vec<&str> = argument.get_default_values().iter().filter_map(|value| value.to_str()).collect();
    values.join(",")
}

fn render() -> String {
    let mut settings = BTreeMap::new();
    collect_settings(&mut settings, &Cli::command(), "");
    assert_eq!(settings.len(), SETTINGS);
    let mut page = HEAD.to_owned();
    page.push_str("\n| variable | flag | default | commands | meaning |\n|---|---|---|---|---|\n");
    for (variable, Setting { flag, default, meaning, commands }) in settings {
        let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
        let names = |command: &String| if command.is_empty() { "all".to_owned() } else { format!("`{command}`") };
        let commands: Vec<String> = commands.iter().map(names).collect();
        let meaning = meaning.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
        let end = if meaning.ends_with(['.', ']']) { "" } else { "." };
        let commands = commands.join(", ");
        writeln!(page, "| `{variable}` | `--{flag}` | {default} | {commands} | {meaning}{end} |").unwrap();
    }
    page.push_str(FACTS);
    page
}

/// `docs/configuration.md` is equal to the page that is generated from the definition of the command line.
#[test]
fn configuration_page_matches_arguments() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let page = render();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/configuration.md is outdated; run this test with UPDATE_DOCS=1");
}
