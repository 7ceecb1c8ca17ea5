// Made by `EXPANSION=overwrite cargo test -p pitaya-tests --test expansion` from `sample.rs`.

impl Room {
    /// Joins the room.
    pub(crate) async fn join(&self, session: &Session, msg: Join) -> Result<String> {
        session.bind(&msg.name).await?;
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
        __pitaya::Route::new("join", __pitaya::Kind::Request)
            .line(18u32)
            .payload("Join")
            .answer("String")
            .is_async()
            .docs("Joins the room."),
        __pitaya::Route::new("say", __pitaya::Kind::Notify)
            .line(25u32)
            .payload("Join")
            .docs("No answer: a notify.")
            .concurrent(),
        __pitaya::Route::new("ping", __pitaya::Kind::Request)
            .line(30u32)
            .payload("Raw")
            .answer("Raw")
            .code(7),
    ];
    const _: () = __pitaya::check(__ROUTES);
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
                    __call
                        .read::<__Codecs, Join>()
                        .later(|__this, __cx, __payload| async move {
                            let __arg0 = __cx.lend::<Session>()?;
                            __pitaya::Returned(
                                    Self::join(&__this, __arg0, __payload).await,
                                )
                                .done::<__Codecs>()
                        })
                },
                |__call| {
                    __call
                        .read::<__Codecs, Join>()
                        .sync(|__this, __cx, __payload| {
                            let __arg0 = __cx.lend::<Context>()?;
                            __pitaya::Returned(Self::say(__this, __arg0, __payload))
                                .silent()
                        })
                },
                |__call| {
                    __call
                        .read::<__Codecs, Raw>()
                        .sync(|__this, _, __payload| {
                            __pitaya::Returned(Self::pong(__this, __payload))
                                .done::<__Codecs>()
                        })
                },
            ],
            hooks: &[
                __pitaya::on::init(|__this, __cx| __pitaya::boxed(async move {
                    let __arg0 = __cx.lend::<AppEvent>()?;
                    __pitaya::Returned(Self::open(&__this, __arg0).await).silent()
                })),
            ],
        };
    }
};
