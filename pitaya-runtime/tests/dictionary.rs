//! Codes of routes, generated, pinned and locked; and what an app says about itself.

use pitaya_runtime::describe::Description;
use pitaya_runtime::handler::Kind;
use pitaya_runtime::prelude::*;
use std::collections::HashMap;
use std::process::Command;
use std::{env, fs};

struct Room;

const JOIN_LINE: u32 = line!() + 5;
#[handler]
impl Room {
    /// Joins.
    #[route(concurrent)]
    pub(crate) async fn join(&self, _name: String) -> Result<HashMap<u8, Vec<u8>>> {
        Ok(HashMap::new())
    }
    #[route(notify, internal)]
    pub(crate) fn leave(&self, _: Raw) -> Result<()> {
        Ok(())
    }
}

struct Lobby;

const SEAT_LINE: u32 = line!() + 5;
#[handler]
impl Lobby {
    /// Takes a seat.
    #[route(code = 7)]
    pub(crate) fn seat(&self) -> Raw {
        Raw::default()
    }
}

struct Gate;

const KNOCK_LINE: u32 = line!() + 4;
#[handler]
impl Gate {
    #[route(code = 7)]
    pub(crate) fn knock(&self) {}
}

struct Annex;

const ANNEX_LINE: u32 = line!() + 3;
#[handler(name = "lobby")]
impl Annex {
    pub(crate) fn seat(&self) {}
}

/// Nobody mounts it.
#[allow(dead_code)]
struct Forgotten;

#[handler]
#[allow(dead_code)]
impl Forgotten {
    #[route(code = 12)]
    pub(crate) fn door(&self) {}
}

macro_rules! component {
    ($name:ident, $method:ident) => {
        struct $name;
        #[handler]
        impl $name {
            pub(crate) fn $method(&self) {}
            pub(crate) fn inner(&self) {}
        }
    };
}
const MADE_LINE: u32 = line!() + 1;
component!(Made, outer);

fn chat() -> Builder {
    Builder::new("chat").acceptor(Tcp::bind("127.0.0.1:0"))
}

/// `file:line` of a method here.
fn at(line: u32) -> String {
    format!("{}:{line}", file!())
}

fn refused(builder: Builder) -> Vec<String> {
    let error = builder.build().expect_err("refused");
    error.problems().iter().map(ToString::to_string).collect()
}

fn codes(app: &App) -> Vec<(String, u16)> {
    app.dictionary().iter().map(|(route, code)| (route.to_owned(), code)).collect()
}

fn owned(codes: &[(&str, u16)]) -> Vec<(String, u16)> {
    codes.iter().map(|(route, code)| ((*route).to_owned(), *code)).collect()
}

#[test]
fn an_app_describes_what_is_mounted() {
    let app = chat().generate_dictionary().handlers_as("hall", Lobby).handlers(Room).build().unwrap();
    let description = app.describe();
    assert_eq!(description.server_type.as_deref(), Some("chat"));
    let names: Vec<_> = description.services.iter().map(|s| (&*s.name, &*s.type_name)).collect();
    assert_eq!(names, [("hall", "Lobby"), ("room", "Room")]);
    assert_eq!(description.services[1].codecs, ["json"]);
    let [join, leave] = &*description.services[1].routes else { panic!("{description:?}") };
    assert_eq!((&*join.route, join.kind, &*join.docs), ("chat.room.join", Kind::Request, "Joins."));
    assert_eq!((join.payload.as_deref(), join.answer.as_deref()), (Some("String"), Some("HashMap<u8, Vec<u8>>")));
    assert_eq!((join.code, join.is_async, join.concurrent, join.internal), (Some(1), true, true, false));
    assert_eq!(join.location, at(JOIN_LINE));
    assert_eq!((leave.payload.as_deref(), leave.answer.as_deref()), (Some("Raw"), None));
    assert_eq!((leave.kind, leave.internal, leave.code), (Kind::Notify, true, Some(2)));
    let seat = &description.services[0].routes[0];
    assert_eq!((&*seat.route, seat.code, &*seat.location), ("chat.hall.seat", Some(7), &*at(SEAT_LINE)));
    let table = description.to_string();
    assert_eq!(table.lines().count(), 4, "{table}");
    let columns: Vec<_> = table.lines().map(|line| line.find(file!()).or_else(|| line.find("LOCATION"))).collect();
    assert!(columns.iter().all(|column| column.is_some() && *column == columns[0]), "{table}");
}

#[test]
fn what_is_linked_is_known_without_an_app() {
    let linked = Description::linked();
    let door = linked.services.iter().find(|service| service.type_name == "Forgotten").expect("it is linked");
    assert_eq!((&*door.routes[0].route, door.routes[0].code), ("forgotten.door", Some(12)));
    let app = chat().handlers(Room).build().unwrap();
    let unmounted = Description::unmounted(app.registry());
    let has = |name| unmounted.services.iter().any(|service| service.type_name == name);
    assert!(has("Forgotten") && !has("Room"));
}

/// A method that a `macro_rules!` wrote is where the macro was called: that is what its user sees.
#[test]
fn places_of_generated_methods_are_the_users() {
    let app = chat().handlers(Made).build().unwrap();
    let service = &app.describe().services[0];
    assert!(service.routes.iter().all(|route| route.location == at(MADE_LINE)), "{service:?}");
}

#[test]
fn both_places_of_a_conflict_are_named() {
    let (seat, knock, annex) = (at(SEAT_LINE), at(KNOCK_LINE), at(ANNEX_LINE));
    assert_eq!(
        refused(chat().generate_dictionary().handlers(Lobby).handlers(Gate)),
        [format!(
            "dictionary: the code 7 belongs to `chat.lobby.seat` ({seat}) and to `chat.gate.knock` ({knock}); \
             give one of them another"
        )]
    );
    assert_eq!(
        refused(chat().handlers(Lobby).handlers(Annex)),
        [format!("the route `chat.lobby.seat` is exposed twice: at {seat} and at {annex}")]
    );
}

#[test]
fn a_lock_file_keeps_codes_when_routes_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("routes.lock");
    let shown = path.display().to_string();
    let missing = refused(chat().handlers(Room).dictionary_lock(&path));
    assert!(missing[0].starts_with(&format!("dictionary: {shown}: ")), "{missing:?}");
    assert!(missing[0].ends_with("run the server once with PITAYA_UPDATE_ROUTES_LOCK=1"), "{missing:?}");

    let build = |builder: Builder, update| builder.dictionary_lock(&path).update_dictionary_lock(update).build();
    let first = build(chat().handlers(Room), true).unwrap();
    assert_eq!(codes(&first), owned(&[("chat.room.join", 1), ("chat.room.leave", 2)]));
    // One goes, two come; one of them is pinned, one sorts before all others.
    let grown = || chat().handlers(Lobby).handlers(Made);
    assert_eq!(
        refused(grown().dictionary_lock(&path)),
        [format!(
            "dictionary: {shown} is not up to date: `chat.lobby.seat` ({}) is new; `chat.made.inner` ({}) is new; \
             `chat.made.outer` ({}) is new; `chat.room.join` ({shown}:4) is gone; `chat.room.leave` ({shown}:5) is gone. \
             Run the server once with PITAYA_UPDATE_ROUTES_LOCK=1 and commit the file",
            at(SEAT_LINE),
            at(MADE_LINE),
            at(MADE_LINE),
        )]
    );
    let expected = owned(&[("chat.lobby.seat", 7), ("chat.made.inner", 3), ("chat.made.outer", 4)]);
    assert_eq!(codes(&build(grown(), true).unwrap()), expected);
    assert_eq!(codes(&build(grown(), false).unwrap()), expected);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        lines,
        [
            "1 chat.room.join removed",
            "2 chat.room.leave removed",
            "3 chat.made.inner",
            "4 chat.made.outer",
            "7 chat.lobby.seat"
        ]
    );
    // It comes back to its old code, and nothing is left lying beside the file.
    assert_eq!(codes(&build(chat().handlers(Room), true).unwrap()), codes(&first));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_lock_file_that_contradicts_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("routes.lock");
    let shown = path.display().to_string();
    for (text, problem) in [
        (
            "7 chat.room.join\n",
            format!(
                "dictionary: the code 7 belongs to `chat.room.join` ({shown}:1) and to `chat.lobby.seat` ({}); \
                 give one of them another",
                at(SEAT_LINE)
            ),
        ),
        (
            "# ours\n3 chat.lobby.seat\n",
            format!(
                "dictionary: `chat.lobby.seat` is pinned to the code 7 ({}), but clients know it by 3 ({shown}:2); \
                 write `code = 3`, or change the line if no client knows it",
                at(SEAT_LINE)
            ),
        ),
        (
            "7 a.b\n7 chat.lobby.seat\n",
            format!(
                "dictionary: the code 7 belongs to `a.b` ({shown}:1) and to `chat.lobby.seat` ({shown}:2); \
                 give one of them another"
            ),
        ),
    ] {
        fs::write(&path, text).unwrap();
        for update in [false, true] {
            let builder = chat().handlers(Lobby).dictionary_lock(&path).update_dictionary_lock(update);
            assert_eq!(refused(builder), [problem.as_str()]);
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

const LOCK: &str = "TEST_ROUTES_LOCK";

/// The documented command, on a program that is this very test.
#[test]
fn the_variable_updates_the_file() {
    if let Some(path) = env::var_os(LOCK) {
        // The server: it leaves the order to the environment.
        let loaded = Config::load_env().unwrap();
        assert_eq!(loaded.warnings.len(), 0, "{:?}", loaded.warnings);
        return drop(chat().handlers(Room).config(loaded.config).dictionary_lock(path).build().unwrap());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("routes.lock");
    let server = |order: &str| {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "the_variable_updates_the_file"]).env(LOCK, &path);
        command.env("PITAYA_UPDATE_ROUTES_LOCK", order).output().unwrap()
    };
    assert!(!server("0").status.success() && !path.exists());
    let output = server("1");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(fs::read_to_string(&path).unwrap().ends_with("\n1 chat.room.join\n2 chat.room.leave\n"));
    assert!(server("").status.success());
}
