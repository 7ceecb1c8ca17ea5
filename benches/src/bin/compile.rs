//! What the attribute costs the compiler: a crate with 1,000 routes, beside the same crate without the attribute.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use pitaya_benches::args::Args;
use pitaya_benches::judge::{median, range};
use pitaya_benches::procfs;

const USAGE: &str = "usage: compile [--rounds 5] [--quick] [--block]
  --quick  1 round: does everything run?
  --block  the block with 5,000 routes alone";

const COMPONENTS: usize = 50;
/// Each stands four times in a component. Beside them stand the types of its messages, with their derives.
const FORMS: [(&str, &str); 5] = [
    ("", "pub fn FORM(&self, order: Order) -> Receipt { Receipt { id: order.id, note: order.note } }"),
    (
        "",
        "pub async fn FORM(&self, session: &Session, order: Order) -> Result<Receipt> {
        session.push(\"onOrder\", &order.id)?;
        Ok(Receipt { id: order.id, note: order.note })
    }",
    ),
    (
        "#[route(notify)]",
        "pub async fn FORM(&self, cx: &Context, order: Order) -> Result<()> { cx.session().push(\"onOrder\", &order.note) }",
    ),
    ("#[route(concurrent)]", "pub fn FORM(&self, body: Raw) -> Raw { body }"),
    ("", "pub async fn FORM(&self) -> Receipt { Receipt { id: 7, note: String::new() } }"),
];
const TIMES: usize = 4;

/// One block, larger than any game has: what grows with the square of its routes shows here.
const BLOCK: usize = 5_000;
/// Length of a route's name in it, in bytes.
const NAME: usize = 60;

/// What is timed. Dependencies are compiled before; the crate itself is compiled from nothing, or after an edit.
const TASKS: [Task; 4] = [
    Task { title: "`cargo check`, the crate from nothing", command: "check", from_nothing: true, incremental: true },
    Task {
        title: "`cargo check` after an edit in one component",
        command: "check",
        from_nothing: false,
        incremental: true,
    },
    Task { title: "`cargo build`, the crate from nothing", command: "build", from_nothing: true, incremental: true },
    Task {
        title: "`cargo build` after an edit in one component",
        command: "build",
        from_nothing: false,
        incremental: true,
    },
];
/// The same for the one block: incremental compilation keeps results of the compiler by item, and one item with all rows
/// would cost it the square of their number.
const BLOCK_TASKS: [Task; 2] = [
    Task { title: "`cargo check`, the crate from nothing", command: "check", from_nothing: true, incremental: true },
    Task { title: "the same with `CARGO_INCREMENTAL=0`", command: "check", from_nothing: true, incremental: false },
];

/// One run of cargo that is timed.
#[derive(Clone, Copy)]
struct Task {
    title: &'static str,
    command: &'static str,
    from_nothing: bool,
    incremental: bool,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("compile: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let args = Args::parse(std::env::args().skip(1), &["rounds"], &["help", "quick", "block"])
        .map_err(|e| format!("{e}\n{USAGE}"))?;
    if args.given("help") {
        println!("{USAGE}");
        return Ok(());
    }
    let rounds: usize = args.value("rounds", if args.given("quick") { 1 } else { 5 })?;
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the workspace is not where it was")?;
    let home = workspace.join("target/bench/compile");
    println!("# {}\n", procfs::machine());
    let routes = COMPONENTS * FORMS.len() * TIMES;
    if !args.given("block") {
        let with = UserCrate::write(workspace, &home, "with_handler", &components(true))?;
        let without = UserCrate::write(workspace, &home, "without_handler", &components(false))?;
        println!("{routes} routes in {COMPONENTS} components, {rounds} rounds, medians and (range) in s:\n");
        measure(&with, &without, &TASKS, rounds, routes)?;
        println!();
    }
    let with = UserCrate::write(workspace, &home, "one_block", &[block(true)])?;
    let without = UserCrate::write(workspace, &home, "one_block_without", &[block(false)])?;
    println!("{BLOCK} routes of {NAME} characters in one block, {rounds} rounds:\n");
    measure(&with, &without, &BLOCK_TASKS, rounds, BLOCK)
}

fn measure(with: &UserCrate, without: &UserCrate, tasks: &[Task], rounds: usize, routes: usize) -> Result<(), String> {
    println!("| task, s | with `#[handler]` | without | ratio | ms a route |\n|---|---|---|---|---|");
    for &task in tasks {
        let title = task.title;
        // Once unmeasured: compiles the dependencies.
        with.time(task)?;
        without.time(task)?;
        let mut runs = Vec::new();
        for round in 1..=rounds {
            let run = (with.time(task)?, without.time(task)?);
            eprintln!("round {round}/{rounds}: {title}: {:.2} s, {:.2} s", run.0, run.1);
            runs.push(run);
        }
        let (a, b) = (median(runs.iter().map(|run| run.0)), median(runs.iter().map(|run| run.1)));
        let ((a_min, a_max), (b_min, b_max)) =
            (range(runs.iter().map(|run| run.0)), range(runs.iter().map(|run| run.1)));
        println!(
            "| {title} | {a:.2} ({a_min:.2}..{a_max:.2}) | {b:.2} ({b_min:.2}..{b_max:.2}) | **{:.2}** | {:.2} |",
            median(runs.iter().map(|(a, b)| a / b)),
            (a - b) * 1e3 / routes as f64,
        );
    }
    Ok(())
}

/// A library as a user writes it, outside of the workspace.
struct UserCrate {
    name: &'static str,
    dir: PathBuf,
    target: PathBuf,
}

impl UserCrate {
    /// One module for each component; those with the attribute are mounted, for there their rows become machine code.
    fn write(workspace: &Path, home: &Path, name: &'static str, components: &[Component]) -> Result<Self, String> {
        let dir = home.join(name);
        let file = |path: &str, text: &str| -> Result<(), String> {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().unwrap_or(&dir))
                .and_then(|()| fs::write(&path, text))
                .map_err(|e| format!("{}: {e}", path.display()))
        };
        file(
            "Cargo.toml",
            &format!(
                "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n\
                 pitaya-runtime = {{ path = {:?} }}\nserde = {{ version = \"1\", features = [\"derive\"] }}\n\n[workspace]\n",
                workspace.join("pitaya-runtime")
            ),
        )?;
        let lock = fs::read_to_string(workspace.join("Cargo.lock")).map_err(|e| format!("Cargo.lock: {e}"))?;
        file("Cargo.lock", &lock)?;
        let mut root = String::from("//! Generated by `benches/run --compile`.\n");
        for (number, component) in components.iter().enumerate() {
            let _ = writeln!(root, "pub mod component{number};");
            file(&format!("src/component{number}.rs"), &component.text)?;
        }
        root.push_str("\npub fn app() -> pitaya_runtime::Builder {\n    pitaya_runtime::Builder::new(\"game\")\n");
        for (number, _) in components.iter().enumerate().filter(|(_, component)| component.mounted) {
            let _ = writeln!(root, "        .handlers(component{number}::Component{number})");
        }
        root.push_str("}\n");
        file("src/lib.rs", &root)?;
        Ok(Self { name, dir, target: home.join("target") })
    }

    /// Seconds.
    fn time(&self, task: Task) -> Result<f64, String> {
        if task.from_nothing {
            self.cargo(&["clean", "--quiet", "--offline", "--package", self.name], task)?;
        } else {
            self.edit()?;
        }
        let start = Instant::now();
        self.cargo(&[task.command, "--quiet", "--offline"], task)?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Changes what one method does.
    fn edit(&self) -> Result<(), String> {
        let path = self.dir.join("src/component7.rs");
        let failed = |e: std::io::Error| format!("{}: {e}", path.display());
        let text = fs::read_to_string(&path).map_err(failed)?;
        let (from, to) = if text.contains("id: 7,") { ("id: 7,", "id: 7 + 1,") } else { ("id: 7 + 1,", "id: 7,") };
        fs::write(&path, text.replacen(from, to, 1)).map_err(failed)
    }

    fn cargo(&self, args: &[&str], task: Task) -> Result<(), String> {
        let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(args)
            .current_dir(&self.dir)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_INCREMENTAL", if task.incremental { "1" } else { "0" })
            .output()
            .map_err(|e| format!("cargo: {e}"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("cargo {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr)))
    }
}

struct Component {
    text: String,
    mounted: bool,
}

fn components(attribute: bool) -> Vec<Component> {
    (0..COMPONENTS).map(|number| Component { text: component(number, attribute), mounted: attribute }).collect()
}

/// Small methods: what is compiled is the table.
fn block(attribute: bool) -> Component {
    let mut text = String::from("use pitaya_runtime::prelude::*;\n\npub struct Component0;\n\n");
    text.push_str(if attribute { "#[handler]\nimpl Component0 {\n" } else { "impl Component0 {\n" });
    for number in 0..BLOCK {
        let _ = writeln!(text, "    pub fn {:x<NAME$}(&self) -> u32 {{ {number} }}", format!("route_{number}_"));
    }
    text.push_str("}\n");
    Component { text, mounted: attribute }
}

fn component(number: usize, attribute: bool) -> String {
    let mut text = format!(
        "use pitaya_runtime::prelude::*;\n\n#[derive(serde::Deserialize)]\npub struct Order {{ id: u32, note: String }}\n\n\
         #[derive(serde::Serialize)]\npub struct Receipt {{ id: u32, note: String }}\n\npub struct Component{number};\n\n"
    );
    if attribute {
        text.push_str("#[handler]\n");
    }
    let _ = writeln!(text, "impl Component{number} {{");
    for route in 0..TIMES * FORMS.len() {
        let (options, form) = FORMS[route % FORMS.len()];
        if attribute {
            let _ = writeln!(text, "    {options}");
        }
        let _ = writeln!(text, "    {}", form.replace("FORM", &format!("route{route}")));
    }
    text.push_str("}\n");
    text
}
