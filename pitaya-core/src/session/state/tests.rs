use super::*;

const INTERVAL: Duration = Duration::from_secs(30);
const DEADLINE: Duration = Duration::from_secs(10);
const MOMENT: Duration = Duration::from_millis(1);
const KINDS: [PacketKind; 5] =
    [PacketKind::Handshake, PacketKind::HandshakeAck, PacketKind::Heartbeat, PacketKind::Data, PacketKind::Kick];

fn fresh() -> (Machine, Instant) {
    let now = Instant::now();
    (Machine::new(now, INTERVAL, DEADLINE), now)
}

/// A machine in each phase.
fn in_phase(phase: Phase) -> Machine {
    let (mut machine, _) = fresh();
    let steps: [&dyn Fn(&mut Machine); 4] = [
        &|machine| assert_eq!(machine.packet(PacketKind::Handshake), Ok(Event::Handshake)),
        &Machine::accepted,
        &|machine| assert_eq!(machine.packet(PacketKind::HandshakeAck), Ok(Event::Ready)),
        &Machine::refused,
    ];
    for step in &steps[..phase as usize] {
        step(&mut machine);
    }
    assert_eq!(machine.phase, phase);
    machine
}

fn working() -> Machine {
    in_phase(Phase::Working)
}

#[test]
fn every_packet_in_every_phase() {
    use Event::*;
    use Violation::*;
    let table = [
        //                 handshake            ack                      heartbeat    data                      kick
        (Phase::Start, [Ok(Handshake), Err(AckBeforeHandshake), Ok(Ignored), Err(DataBeforeHandshake), Ok(Ignored)]),
        (Phase::Greeted, [Ok(Handshake), Err(AckBeforeHandshake), Ok(Ignored), Err(DataBeforeHandshake), Ok(Ignored)]),
        (Phase::Accepted, [Ok(Handshake), Ok(Ready), Ok(Ignored), Err(DataBeforeAck), Ok(Ignored)]),
        (Phase::Working, [Err(LateHandshake), Ok(Ignored), Ok(Ignored), Ok(Message), Ok(Ignored)]),
        (Phase::Closed, [Err(Closed); 5]),
    ];
    for (phase, wanted) in table {
        for (kind, wanted) in KINDS.into_iter().zip(wanted) {
            let mut machine = in_phase(phase);
            assert_eq!(machine.packet(kind), wanted, "{kind:?} in {phase:?}");
            assert_eq!(machine.working(), phase == Phase::Working && wanted.is_ok() || wanted == Ok(Ready));
            if wanted.is_err() {
                assert_eq!(machine.packet(PacketKind::Heartbeat), Err(Closed), "a violation closes");
            }
        }
    }
}

#[test]
fn a_second_handshake_has_to_be_accepted_again() {
    let mut machine = in_phase(Phase::Accepted);
    assert_eq!(machine.packet(PacketKind::Handshake), Ok(Event::Handshake));
    assert_eq!(machine.packet(PacketKind::HandshakeAck), Err(Violation::AckBeforeHandshake));
}

#[test]
fn accepted_counts_after_a_handshake_only() {
    for phase in [Phase::Start, Phase::Working, Phase::Closed] {
        let mut machine = in_phase(phase);
        machine.accepted();
        assert_eq!(machine.phase, phase);
    }
}

/// 100,000 random sequences against a model that remembers the whole history instead of a state.
#[test]
fn random_sequences_agree_with_the_history() {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..100_000 {
        let (mut machine, _) = fresh();
        let mut history = Vec::new();
        for _ in 0..12 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            // 0 to 4 a packet, 5 and 6 accepted(), 7 refused() now and then.
            match random as usize % 8 {
                7 if random >> 60 == 0 => machine.refused(),
                5.. => machine.accepted(),
                index => {
                    let outcome = machine.packet(KINDS[index]);
                    let open = history.contains(&Ok(Event::Ready));
                    let broken = history.iter().any(Result::is_err);
                    match outcome {
                        Ok(Event::Ready) => assert!(!open && history.contains(&Ok(Event::Handshake))),
                        Ok(Event::Message) => assert!(open),
                        Ok(Event::Handshake) => assert!(!open),
                        Ok(Event::Ignored) => assert!(!broken),
                        Err(Violation::LateHandshake) => assert!(open),
                        Err(Violation::Closed) => {}
                        Err(_) => assert!(!open),
                    }
                    assert!(!broken || outcome == Err(Violation::Closed));
                    assert_eq!(machine.working(), outcome.is_ok() && (open || outcome == Ok(Event::Ready)));
                    history.push(outcome);
                }
            }
        }
    }
}

#[test]
fn the_handshake_is_overdue_at_its_deadline_in_every_phase_before_work() {
    for phase in [Phase::Start, Phase::Greeted, Phase::Accepted, Phase::Closed] {
        let mut machine = in_phase(phase);
        let due = machine.next();
        assert_eq!(machine.tick(due - MOMENT), Tick::Nothing);
        machine.heard();
        assert_eq!(machine.tick(due), Tick::HandshakeOverdue, "{phase:?}");
    }
    let (machine, now) = fresh();
    assert_eq!(machine.next(), now + DEADLINE, "whatever the interval");
}

#[test]
fn beats_begin_with_the_ack_and_come_once_an_interval() {
    let (mut machine, now) = fresh();
    machine.packet(PacketKind::Handshake).unwrap();
    machine.accepted();
    machine.packet(PacketKind::HandshakeAck).unwrap();
    assert!(machine.next() <= now + INTERVAL);
    for _ in 0..100 {
        let due = machine.next();
        assert_eq!(machine.tick(due - MOMENT), Tick::Nothing);
        assert_eq!(machine.tick(due), Tick::Beat);
        assert_eq!(machine.next(), due + INTERVAL);
        machine.heard();
    }
}

/// The client's last word falls anywhere within an interval: it is found dead after 2 to 3 of them.
#[test]
fn silence_is_found_between_two_and_three_intervals() {
    for tenth in 0..=10 {
        let mut machine = working();
        let first = machine.next();
        assert_eq!(machine.tick(first), Tick::Beat);
        let last_word = first + INTERVAL * tenth / 10;
        machine.heard();
        let mut beats = 0;
        while machine.tick(machine.next()) == Tick::Beat {
            beats += 1;
        }
        // `next` is one interval after the tick that found it.
        let silence = machine.next() - INTERVAL - last_word;
        assert_eq!(beats, 2);
        assert!((INTERVAL * 2..=INTERVAL * 3).contains(&silence), "{silence:?}");
    }
}

/// Clients in the manner of pomelo answer every second beat.
#[test]
fn a_word_every_second_interval_is_enough() {
    let mut machine = working();
    for index in 0..100 {
        if index % 2 == 0 {
            machine.heard();
        }
        assert_eq!(machine.tick(machine.next()), Tick::Beat);
    }
}

/// The process is stopped for long; the clients' words wait in the kernel and are read after the tick.
#[test]
fn a_late_tick_kills_nobody() {
    for pause in [INTERVAL / 2, INTERVAL * 3, INTERVAL * 100] {
        let mut machine = working();
        machine.tick(machine.next());
        assert_eq!(machine.tick(machine.next()), Tick::Beat, "one silent tick is normal");
        let woken = machine.next() + pause;
        assert_eq!(machine.tick(woken), Tick::Beat, "beats missed are not made up for");
        assert_eq!(machine.next(), woken + INTERVAL);
        machine.heard();
        assert_eq!(machine.tick(machine.next()), Tick::Beat);
    }
}

#[test]
fn a_late_tick_is_no_word_either() {
    let mut machine = working();
    machine.tick(machine.next());
    assert_eq!(machine.tick(machine.next()), Tick::Beat);
    assert_eq!(machine.tick(machine.next() + INTERVAL), Tick::Beat);
    assert_eq!(machine.tick(machine.next()), Tick::Dead);
}

/// A timer wheel is a little late every time: that must not keep the dead alive.
#[test]
fn ticks_a_little_late_still_count() {
    let mut machine = working();
    let late = INTERVAL / 4;
    assert_eq!(machine.tick(machine.next() + late), Tick::Beat);
    assert_eq!(machine.tick(machine.next() + late), Tick::Beat);
    assert_eq!(machine.tick(machine.next() + late), Tick::Dead);
}

#[test]
fn while_suspended_silence_counts_nothing_and_beats_go_on() {
    let mut machine = working();
    machine.tick(machine.next());
    machine.tick(machine.next());
    machine.suspend();
    for _ in 0..10 {
        assert_eq!(machine.tick(machine.next()), Tick::Beat);
    }
    machine.resume();
    let ticks = [(); 3].map(|()| machine.tick(machine.next()));
    assert_eq!(ticks, [Tick::Beat, Tick::Beat, Tick::Dead], "then it has all its time again");
}

#[test]
fn no_duration_overflows_the_clock() {
    let now = Instant::now();
    let mut machine = Machine::new(now, Duration::MAX, Duration::MAX);
    assert_eq!(machine.tick(now), Tick::Nothing);
    machine.packet(PacketKind::Handshake).unwrap();
    machine.accepted();
    machine.packet(PacketKind::HandshakeAck).unwrap();
    assert_eq!(machine.tick(machine.next()), Tick::Beat);
}
