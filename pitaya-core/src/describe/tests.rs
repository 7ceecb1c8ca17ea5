use super::*;

const ROUTES: &[Route] = &[
    Route::notify("say", 9).sync_fn("Raw", "").concurrent().internal(),
    Route::request("join", 5).async_fn("Vec<Straße>", "u32").code(7).timeout(2_000).docs("Joins.\nMore."),
];
const ROOM: Service = Service {
    side: Side::Handler,
    name: "room",
    type_name: "Room",
    codecs: &["json"],
    routes: ROUTES,
    location: "src/room.rs:3",
    contract: None,
};

fn description() -> Description {
    let mut room = ServiceDescription::of(Side::Handler, "room", &ROOM);
    room.routes.extend(ROUTES.iter().map(|route| {
        RouteDescription::of(format!("room.{}", route.name), (route.code != 0).then_some(route.code), &ROOM, route)
    }));
    let mut remote = room.clone();
    remote.side = Side::Remote;
    remote.routes.truncate(1);
    Description { server_type: None, services: vec![remote, room] }.sorted()
}

#[test]
fn columns_are_aligned() {
    assert_eq!(
        description().to_string(),
        "\
ROUTE      SIDE     CODE  PAYLOAD      ANSWER  OPTIONS                     TYPE  LOCATION       DOCS
room.join  handler  7     Vec<Straße>  u32     async timeout=2s            Room  src/room.rs:5  Joins.
room.say   handler  -     Raw          -       notify concurrent internal  Room  src/room.rs:9
room.say   remote   -     Raw          -       notify concurrent internal  Room  src/room.rs:9
"
    );
}

#[test]
fn data_survives_serde() {
    let text = serde_json::to_string(&description()).unwrap();
    assert_eq!(serde_json::from_str::<Description>(&text).unwrap(), description());
}

#[test]
fn go_reads_its_own_shape() {
    assert_eq!(
        description().to_go_docs(&Descriptors::default()),
        serde_json::json!({
            "handlers": {
                "room.join": {"input": {"Vec<Straße>": {}}, "output": ["uint32", "error"]},
                "room.say": {"input": "[]byte", "output": []},
            },
            "remotes": {"room.say": {"input": "[]byte", "output": []}},
        })
    );
}

#[test]
fn a_route_without_a_line_is_in_its_block() {
    assert_eq!(ROOM.place(&Route::notify("x", 0)), "src/room.rs:3");
    let server = Service { contract: Some("shared/room.rs:1"), ..ROOM };
    assert_eq!(server.place(&ROUTES[0]), "src/room.rs:3", "the line is one of the contract's file");
}
