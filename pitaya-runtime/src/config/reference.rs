//! The table of all keys, written from the keys themselves.

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    Config,
    keys::{
        Section,
        legacy::{ALIASES, RETIRED},
    },
};

const HEAD: &str = "\
# Configuration

<!-- Written from the keys in pitaya-runtime/src/config/keys. Change them there, then run
     UPDATE_DOCS=1 cargo test -p pitaya-runtime config_reference -->

Settings come from the program, the environment, a file (TOML, YAML or JSON) and the defaults, in this order: the first
that says something holds. In a file the keys stand below `pitaya`, nested or with dots, in any case; other sections are
the application's own. An unknown key below `pitaya` is refused; an unknown `PITAYA_` variable is a warning.

```rust
let loaded = Config::load(\"game.toml\")?; // or Config::load_env()
pitaya_runtime::logs::init(&loaded.config.log)?; // a log, if the program has none
let app = Builder::new(\"game\").config(loaded).acceptor(Tcp::bind(\"0.0.0.0:3251\")).handlers(Room).build()?;
app.run().await?; // logs the config's warnings when it starts
```

`pitaya_runtime::logs` is there with the cargo feature `logs`: `pitaya-runtime = { .., features = [\"logs\"] }`.

Files are UTF-8, with or without a byte order mark. In YAML `<<` merges mappings. A name that stands twice in one table is
refused.

Kubernetes sets variables such as `PITAYA_PORT` for each Service of a namespace. Those that begin with `PITAYA_` are
recognised by their form and ignored with a warning; `enableServiceLinks: false` in the Pod's spec keeps them away.

Passwords are never shown, nor the logins in addresses: not by `Debug`, not in errors and logs, and not when a `Config` is
serialized.

| Type | Written as |
|---|---|
| bool | `true`, `false`; also `1`, `0`, `t`, `f` |
| integer, number | `20`, `0.5`; may be quoted |
| duration | `300ms`, `30s`, `1m30s`, `1.5h`, `0`; units `ns`, `us`, `ms`, `s`, `m`, `h`. An integer in a file counts nanoseconds |
| size | bytes: `65536`, `64KiB`, `1MiB`; `KB`, `MB` and `GB` count in thousands |
| list | a list, or one text with commas between: `a:2379,b:2379` |
| map | a table, or one text: `env=live,zone=3` |
| list of metrics | a list of tables; in a variable, as JSON |
";

/// The reference of all keys, in Markdown: what `docs/config.md` holds.
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    let mut section = "";
    Config::default().walk(&mut |key, setting| {
        let mut parts = key.name.split('.').skip(1);
        let part = parts.next().filter(|_| parts.next().is_some()).unwrap_or_default();
        if section != part || key.name == "pitaya.serializertype" {
            section = part;
            let dot = if part.is_empty() { "" } else { "." };
            let _ = write!(
                text,
                "\n## pitaya{dot}{part}\n\n\
                 | Key | Variable | Type | Default | Meaning | In Go |\n|---|---|---|---|---|---|\n"
            );
        }
        let (name, variable, kind) = (key.name, variable(key.name), setting.kind());
        let (default, meaning, go) = (default(&setting.value()), key.meaning.trim(), key.go);
        let _ = writeln!(text, "| `{name}` | `{variable}` | {kind} | {default} | {meaning} | {go} |");
    });

    text += "\n## Other names of Go's\n\nAccepted with a warning. Old names, and names of Go's manual that do nothing in Go:\n\n";
    text += "| Name | Key |\n|---|---|\n";
    for alias in ALIASES {
        let _ = writeln!(text, "| `{}` | `{}` |", alias.name, alias.key);
    }
    text += "\nKeys without an effect here:\n\n| Key | What does its work |\n|---|---|\n";
    for retired in RETIRED {
        let _ = writeln!(text, "| `{}` | {} |", retired.name, retired.instead);
    }
    text
}

/// The environment variable of a key.
pub(super) fn variable(key: &str) -> String {
    key.to_uppercase().replace('.', "_")
}

fn default(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "empty".to_owned(),
        Value::String(text) => format!("`{text}`"),
        Value::Array(items) if items.is_empty() => "empty".to_owned(),
        Value::Array(items) => items.iter().map(default).collect::<Vec<_>>().join(", "),
        Value::Object(table) if table.is_empty() => "empty".to_owned(),
        other => format!("`{other}`"),
    }
}
