use super::*;
use std::time::Duration;

fn waiter(id: u64) -> Waiter {
    Waiter::Message(Told {
        session: Number::default(),
        id,
        server: "x".into(),
        route: "a.b.c".into(),
        timeout: Duration::from_secs(5),
    })
}

fn ids(heard: &Heard) -> Vec<(u64, Failure)> {
    let failed = |(told, answer): &(Told, Answer)| (told.id, *answer.as_ref().expect_err("a failure"));
    heard.messages.iter().map(failed).collect()
}

fn settle(calls: &Calls, key: Key) -> Heard {
    let mut heard = Heard::default();
    calls.settle([(key, Ok(Ok(Bytes::new())))].into_iter(), &mut heard);
    heard
}

#[test]
fn a_place_is_used_again_under_another_key() {
    let (calls, now) = (Calls::default(), Instant::now());
    let first = calls.open(waiter(1), now).expect("open");
    assert_eq!((settle(&calls, first).messages.len(), settle(&calls, first).stray), (1, 1));
    let second = calls.open(waiter(2), now).expect("open");
    assert_eq!(second.place(), first.place());
    assert!(!calls.handing().hand(first), "nobody waits for the first");
    assert!(!calls.give_up(first) && calls.give_up(second) && !calls.give_up(second));
    assert!(calls.is_empty());
}

#[test]
fn a_second_answer_finds_nobody() {
    let (calls, now) = (Calls::default(), Instant::now());
    let open = || calls.open_alone(waiter(7), now, "in.", false).expect("open");
    let answer = |subject: &Subject| {
        let key = subject.strip_prefix("in.").and_then(Key::parse).expect("a key");
        let heard = settle(&calls, key);
        (heard.messages.len(), heard.stray)
    };
    let (_, first) = open();
    assert_eq!(answer(&first), (1, 0));
    let (_, second) = open();
    assert_eq!((answer(&first), answer(&second)), ((0, 1), (1, 0)));
}

#[test]
fn those_who_are_late_are_told_once() {
    let (calls, now, mut heard) = (Calls::default(), Instant::now(), Heard::default());
    let later = now + Duration::from_secs(1);
    let sent = calls.open(waiter(1), now).expect("open");
    calls.open(waiter(2), now).expect("open");
    calls.open(waiter(3), later).expect("open");
    assert!(calls.handing().hand(sent));
    assert!(calls.expire(now, &mut heard));
    let mut told = ids(&heard);
    told.sort_by_key(|(id, _)| *id);
    assert_eq!(told, [(1, Failure::Timeout), (2, Failure::Unsent)]);
    heard.messages.clear();
    calls.close(&mut heard);
    assert_eq!(ids(&heard), [(3, Failure::Unsent)]);
    assert_eq!(heard.failures.len(), 3);
    assert!(calls.open(waiter(4), later).is_none());
}

#[test]
fn deadlines_of_the_answered_do_not_pile_up() {
    let (calls, now) = (Calls::default(), Instant::now());
    for id in 0..100_000 {
        let key = calls.open(waiter(id), now).expect("open");
        calls.give_up(key);
    }
    assert!(calls.0.lock().due.len() <= 1025);
}

#[test]
fn a_task_fetches_its_answer_once_and_is_woken_for_it() {
    let (calls, now) = (Calls::default(), Instant::now());
    let mut cx = Context::from_waker(Waker::noop());
    let open = || {
        let key = calls.open(Waiter::Call, now).expect("open");
        (key, Waits::new(&calls, key))
    };
    let (key, mut waits) = open();
    assert!(waits.poll(&mut cx).is_pending());
    assert_eq!(settle(&calls, key).wakers.len(), 1);
    assert_eq!(settle(&calls, key).stray, 1, "it has its answer");
    assert!(matches!(waits.poll(&mut cx), Poll::Ready(Ok(Ok(_)))));
    assert!(matches!(waits.poll(&mut cx), Poll::Ready(Err(Failure::Gone))) && calls.is_empty());
    // Answered before it has asked; and given up with and without an answer.
    let (key, mut waits) = open();
    assert_eq!(settle(&calls, key).wakers.len(), 0);
    assert!(matches!(waits.poll(&mut cx), Poll::Ready(Ok(Ok(_)))));
    let ((answered, left), (_, given_up)) = (open(), open());
    settle(&calls, answered);
    drop((left, given_up));
    assert!(calls.is_empty());
    // Those who wait when the connection is lost hear so, whenever they ask.
    let ((key, mut sent), (_, mut unsent)) = (open(), open());
    assert!(sent.poll(&mut cx).is_pending() && calls.handing().hand(key));
    let mut heard = Heard::default();
    calls.close(&mut heard);
    assert_eq!((heard.wakers.len(), heard.failures.len()), (1, 2));
    assert!(matches!(sent.poll(&mut cx), Poll::Ready(Err(Failure::Gone))));
    assert!(matches!(unsent.poll(&mut cx), Poll::Ready(Err(Failure::Unsent))));
}
