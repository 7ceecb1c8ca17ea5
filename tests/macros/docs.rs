//! `cargo doc` of a user's component shows what he wrote, and nothing of what the macros wrote beside it.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// Documents `documented.rs`. In a target directory of its own: the build that runs this test may hold the lock of the
/// usual one. It is that of the test `expansion`, with the same environment, or each would build all crates anew.
fn documented() -> impl Fn(&str) -> String {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("expand");
    let output = Command::new(env!("CARGO"))
        .args(["rustdoc", "--quiet", "--frozen", "--package", "pitaya-tests", "--test", "documented"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    move |page| {
        let path = target.join("doc/documented").join(page);
        text(&fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }
}

/// What a reader sees of a page: without its head, its tags, and how it was broken into lines; and without what other
/// crates implement for every type there is.
fn text(html: &str) -> String {
    let body = html.split_once("<main>").expect("a page of rustdoc").1;
    let body = body.split_once("id=\"blanket-implementations\"").map_or(body, |(own, _)| own);
    let pieces = body.split('<').map(|piece| piece.split_once('>').map_or(piece, |(_, text)| text));
    let text: String = pieces.collect();
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").replace("&nbsp;", " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Traits, constants and paths of generated code, and the hook, which is private.
const PLUMBING: &str =
    "Handlers HANDLERS Remotes REMOTE Service SERVICE ROUTES Table Declared Callee Codecs Constants __ open";

#[test]
fn a_reader_sees_the_component_and_not_the_plumbing() {
    let page = documented();
    let shows = |name: &str, wanted: &[&str]| {
        let page = page(name);
        for wanted in wanted {
            assert!(page.contains(wanted), "{name} lacks {wanted:?}: {page}");
        }
        for plumbing in PLUMBING.split(' ') {
            assert!(!page.contains(plumbing), "{name} shows {plumbing:?}: {page}");
        }
    };
    shows(
        "struct.Room.html",
        &[
            "Where people meet.",
            "pub async fn ask( &self, session: &Session, question: Question, ) -> Result<Question>",
            "Asks everybody who is in the room.",
            "pub fn whisper(&self, cx: &Context)",
            "Asks from another server.",
        ],
    );
    shows(
        "struct.RoomClient.html",
        &[
            "pub struct RoomClient(/* private fields */);",
            "Calls the remotes of room on another server.",
            "pub fn within(&self, timeout: Duration) -> Self",
            "pub async fn remotely(&self, argument: &Question) -> Answered<Result<Question>>",
            "Asks from another server.",
        ],
    );
    shows("trait.HallApi.html", &["fn inside( &self, question: Question, ) -> impl Future", "Asks a hall."]);
    shows("struct.Hall.html", &["HallApi for Hall<T>", "async fn inside(&self, question: Question)", "Asks a hall."]);
    assert_eq!(page("all.html"), "List of all itemsStructsHallHallApiClientQuestionRoomRoomClientTraitsHallApi");
}

#[test]
fn a_page_is_read_as_a_reader_reads_it() {
    let html = "<head>Table</head><main><p class=\"a\">Vec&lt;<b>u8</b>&gt;,\n  &amp;str</p></main>";
    assert_eq!(text(html), "Vec<u8>, &str");
}
