// Made by `EXPANSION=overwrite cargo test -p pitaya-tests --test expansion` from `sample.rs`.

impl Room {
    /// Joins the room.
    pub(crate) async fn join(&self, session: &Session, msg: Join) -> Result<String> {
        session.data().set("name", &msg.name)?;
        Ok(msg.name)
    }
    /// No answer: a notify.
    pub(crate) fn say(&self, cx: &Context, msg: Join) {
        let _ = (cx, msg.name);
    }
    pub(crate) fn pong(&self, raw: Raw) -> Raw {
        raw
    }
    async fn open(&self, event: &AppEvent) -> Result<()> {
        let _ = event;
        Ok(())
    }
}
const _: () = {
    use ::pitaya_runtime::__private as __pitaya;
    use __pitaya::Plain as _;
    type __Codecs = (::pitaya_runtime::Json,);
    const __ROUTES: &[__pitaya::Route] = &[
        __pitaya::Route::request("join", 18u32)
            .async_fn("Join", "String")
            .docs("Joins the room."),
        __pitaya::Route::notify("say", 25u32)
            .sync_fn("Join", "")
            .docs("No answer: a notify.")
            .concurrent(),
        __pitaya::Route::request("ping", 30u32).sync_fn("Raw", "Raw").code(7),
    ];
    static __SERVICE: __pitaya::Service = __pitaya::Service {
        side: __pitaya::Side::Handler,
        name: "room",
        type_name: "Room",
        codecs: <__Codecs as __pitaya::Codecs>::NAMES,
        routes: __ROUTES,
        location: "tests/expansion/sample.rs:15",
        contract: ::core::option::Option::None,
    };
    #[doc(hidden)]
    impl __pitaya::Handlers for Room {
        const HANDLERS: __pitaya::Table<Self> = __pitaya::Table {
            service: &__SERVICE,
            rows: &[
                |__call| {
                    let __in = __call.read::<__Codecs, Join>();
                    __in.later(|__this, __cx, __payload| async move {
                        let __arg0 = __cx.lend::<Session>()?;
                        let __out = Self::join(&__this, __arg0, __payload).await;
                        __pitaya::Returned(__out).done::<__Codecs, _>()
                    })
                },
                |__call| {
                    let __in = __call.read::<__Codecs, Join>();
                    __in.sync(|__this, __cx, __payload| {
                        let __arg0 = __cx.lend::<Context>()?;
                        let __out = Self::say(__this, __arg0, __payload);
                        __pitaya::Returned(__out).silent()
                    })
                },
                |__call| {
                    let __in = __call.read::<__Codecs, Raw>();
                    __in.sync(|__this, _, __payload| {
                        let __out = Self::pong(__this, __payload);
                        __pitaya::Returned(__out).done::<__Codecs, _>()
                    })
                },
            ],
            hooks: &[
                __pitaya::on::init(|__this, __cx| __pitaya::boxed(async move {
                    let __arg0 = __cx.lend::<AppEvent>()?;
                    let __out = Self::open(&__this, __arg0).await;
                    __pitaya::Returned(__out).silent()
                })),
            ],
            schemas: &[],
        };
    }
};
