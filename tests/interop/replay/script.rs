//! What was on the bus, in pieces that belong together.

use pitaya_tests::vectors::{Frame, frames};

/// What a message is, by where it was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Is {
    /// A request to the backend.
    ToBack,
    /// A request of the backend to a frontend.
    ToFront,
    Answer,
    /// A frontend tells that a user is bound there.
    Bound,
    /// To a user.
    Push,
}

/// What a frame is, when backends are of this type.
pub(crate) fn is(frame: &Frame, back: &str) -> Is {
    match frame.subject.split('/').collect::<Vec<_>>()[..] {
        ["pitaya", "servers", kind, _] if kind == back => Is::ToBack,
        ["pitaya", "servers", "connector", _] => Is::ToFront,
        ["pitaya", "connector", "bindings"] => Is::Bound,
        ["pitaya", "connector", "user", _, "push"] => Is::Push,
        [inbox] if inbox.starts_with("_INBOX.") => Is::Answer,
        _ => panic!("what is {}?", frame.subject),
    }
}

/// One thing a client did, as the bus saw it: begins with a request to the backend, if there was one.
pub(crate) type Scene = Vec<Frame>;

/// The scenes of a family, in order.
pub(crate) fn scenes(family: &str, back: &str) -> Vec<Scene> {
    let mut scenes: Vec<Scene> = Vec::new();
    for frame in frames(family) {
        match scenes.last_mut() {
            Some(scene) if scene[0].case == frame.case && is(&frame, back) != Is::ToBack => scene.push(frame),
            _ => scenes.push(vec![frame]),
        }
    }
    scenes
}

/// JSON that holds the number which Go makes a float of: ours keeps it (see `vectors/README.md`).
pub(crate) fn exact(json: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(json.to_vec()).expect("JSON is text");
    text.replace("9007199254740992", "9007199254740993").into_bytes()
}
