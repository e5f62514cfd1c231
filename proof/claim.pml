/* One chunk: its claim, its ledger, its requests, evidence, and what people do.
 *
 * Two senders work on the chunk; any task may run at any time. Each step below is
 * atomic where the code is: a script in Redis, or what one process does without
 * Redis, the platform or the clock. docs/proof.md names the function of each step.
 *
 * Time stands in flags:
 *   young[w]   w's last heartbeat is younger than timings.AliveFor
 *   beats[w]   w's heartbeat stands in Redis (store.HeartbeatTTL, which is longer)
 *   recent[w]  w's request began less than timings.WriteBy ago
 *   expired    the claim's time is over: longer than timings.WriteBy
 *   fenced     timings.BeginPatience has passed since a command was decided
 *
 * A record is compared by value in the code. No record of a contact ever comes
 * again (Record.Next), so the model keeps one bit for that: stale, "has changed
 * since it was read". -DSECONDS compares values without time instead.
 *
 * -DGROUP: contacts that begin together may have a request each, as in dispatch mode.
 *
 * Bounds, by -D: C contacts, FAULTS, PERSONS acts of people. A token is that of a
 * sender's present pass, or of any earlier one: so the number of passes has no bound.
 * Each NO_… takes one guard out.
 */
#include "table.pml"

#ifndef C
#define C 1
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef PERSONS
#define PERSONS 1
#endif
#define N 2
#ifndef TRIES
#define TRIES 2                 /* requests per contact and run */
#endif

#if C == 1
#define EACH(x)    x(0)
#define ANY(p)     (p(0))
#else
#define EACH(x)    x(0); x(1)
#define ANY(p)     (p(0) || p(1))
#endif

#define EVIDENCE(s) (s == Accepted || s == Started || s == Ended)
#define RANK(s) (s == Ended -> 3 : (s == Started -> 2 : (s == Accepted -> 1 : 0)))

/* ---- Redis ------------------------------------------------------------ */

Record led[C];
byte tally[9];
byte claim;                     /* 0: none */
bool expired;

#define NOW(w)   (w + 1)        /* the token of w's present pass */
#define OLD(w)   (w + 1 + N)    /* of an earlier one */
#define OWNER(t) ((t - 1) % N)

/* ---- senders ---------------------------------------------------------- */

mtype:pc = { Idle, Ready, Beginning, Unknown, Begun, Answered, Dead };
mtype:answer = { Nothing, Taken, Lost, OwnError, OtherError, Named, NotSent };
mtype:kind = { None, Begin, Commit };

typedef Pass {
  mtype:pc pc; mtype:answer answer;
  bool todo[C];                 /* pending, as it has read */
  bool in[C];                   /* of the request at hand */
  bool stale[C];                /* changed since it has read it */
  bool spoken[C];               /* ghost: a person has acted on the contact meanwhile */
#ifdef GROUP
  bool waits[C];                /* begun, and its own request is still to be written */
#endif
  bool applied                  /* the begin was carried out, and its reply was lost */
};
#ifdef GROUP
#define WAITS(w, i) (s[w].waits[i])
#define WAITING     (s[w].waits[0] || s[w].waits[1])
#else
#define WAITS(w, i) (false)
#define WAITING     (false)
#endif
Pass s[N];
bool young[N]; bool beats[N]; bool recent[N];

/* The one command that a network or a frozen Redis may hold back. */
typedef Command {
  mtype:kind kind; mtype:answer answer; byte tok; bool in[C]; bool stale[C]; bool fenced; bool gaveUp
};
Command late;
#ifdef SECONDS
Record lateOld[C];
#endif

byte named; bool namedLate;     /* a claim found dead, and that too long ago */
byte faults = FAULTS; byte persons = PERSONS;

/* ---- ghosts: what is true, which nobody in the model reads ------------- */

byte credit[C];                 /* how often it may still be reached */
bool reached[C];                /* by a request that no evidence has ended */
bool talks[C];                  /* a conversation may send events */
bool excuse[C];                 /* it may become unconfirmed */
bool spoken[C];                 /* a person has acted on it since its request began */
byte spent[C];                  /* requests that count */
bool counted[C];                /* the present request is among them */
bool lapsed[N];                 /* w's heartbeat was away, less than BeginPatience ago */

/* scratch, always 0 between steps */
mtype:res = { OK, Busy, Moved, Late };
bool moves, mine; byte before, from; mtype:res res = OK;

/* ---- records ---------------------------------------------------------- */

#define TALLY_RIGHT(i) assert(tally[led[i].state] == 1 + (C == 2 && led[0].state == led[C-1].state))

#define MARK(i) s[0].stale[i] = (s[0].todo[i] || s[0].in[i] || WAITS(0, i)); s[1].stale[i] = (s[1].todo[i] || s[1].in[i] || WAITS(1, i)); late.stale[i] = late.in[i]

/* One contact moves by the table; old is the state that its caller has read. */
inline move(i, old, cause, inDoubt) {
  before = led[i].state;
  from = old;
  led[i].state = from;
  next(led[i], cause, inDoubt);
  if
  :: moves ->
     tally[from]--; tally[led[i].state]++;
     MARK(i);
     assert(cause == Rerun || RANK(led[i].state) >= RANK(before));  /* evidence never moves back */
     assert(!(led[i].state == Failed && !led[i].doubt && reached[i]));  /* surely not reached */
     assert(led[i].state != Unconfirmed || excuse[i]);              /* only what may have left */
     TALLY_RIGHT(i);                                                /* conservation */
     if
     :: (cause == Lose || (EVIDENCE(led[i].state) && from == Sending)) && !counted[i] -> spent[i]++   /* it began */
     :: else -> skip
     fi;
     if
     :: led[i].state != Sending ->
        counted[i] = false;
        assert(led[i].attempts == spent[i])                         /* each request counts once */
     :: else -> skip
     fi
  :: else -> led[i].state = before
  fi;
  before = 0; from = 0; moves = false
}

/* ---- change.lua ------------------------------------------------------- */

#define IS_SENDING(i) (led[i].state == Sending)
#define IS_PENDING(i) (led[i].state == Pending)
#define IS_OPEN(i)    (led[i].state == Pending || led[i].state == Sending)

#define LATE_STALE(i) (late.in[i] && late.stale[i])
#define LATE_SEND(i) \
  if :: late.in[i] -> excuse[i] = false; counted[i] = false; move(i, Pending, Send, false) :: else -> skip fi
#define S_STALE(i) (s[w].in[i] && s[w].stale[i])
#define S_SEND(i) \
  if :: s[w].in[i] -> excuse[i] = false; counted[i] = false; move(i, Pending, Send, false); s[w].stale[i] = false :: else -> skip fi

#ifdef NO_FENCE
#define IN_TIME(isFenced) (true)
#else
#define IN_TIME(isFenced) (!(isFenced))
#endif

/* Act begin, as far as all begins are alike. */
inline mayBegin(token, isStale, isFenced) {
  mine = (claim == token);
  res = OK;
  if
#ifndef NO_CLAIM
  :: claim != 0 && !mine && !expired -> res = Busy
#endif
#ifndef NO_UNRECOVERED
  :: (claim == 0 || expired) && !mine && ANY(IS_SENDING) -> res = Busy
#endif
  :: else ->
     if
#ifndef NO_FENCE
     :: isFenced -> res = Late
#endif
#ifndef NO_COMPARE
     :: IN_TIME(isFenced) && isStale -> res = Moved
#endif
     :: else -> skip
     fi
  fi;
  mine = false
}

inline beginLate() {
  mayBegin(late.tok, ANY(LATE_STALE), late.fenced);
  if
  :: res == OK ->
     assert(!late.gaveUp);            /* no begin counts after its sender gave it up */
     EACH(LATE_SEND);
     claim = late.tok; expired = false
  :: else -> skip
  fi;
  res = OK
}

inline beginNow() {                   /* leaves res; the caller resets it */
  if
  :: !s[w].applied ->
     mayBegin(NOW(w), ANY(S_STALE), false);
     if
     :: res == OK -> EACH(S_SEND); claim = NOW(w); expired = false
     :: else -> skip
     fi
  :: else ->                          /* a repeated call finds its own change */
     if
     :: ANY(S_STALE) -> res = Moved
     :: claim != NOW(w) -> res = Busy
#ifdef NO_REPEAT
     :: else -> res = Moved
#else
     :: else -> res = OK
#endif
     fi
  fi
}

#define NAMES(x, i) (i == 0 || !x.in[0])   /* a 422 names the first contact of its request */

/* What an answer means for contact i of a request: verdict.Of. x is the command. */
inline settle(x, i) {
  if
  :: x.answer == Lost ->
#ifdef NO_LOSS
     move(i, Sending, Retry, false)
#else
     move(i, Sending, Lose, false)
#endif
  :: x.answer == OwnError || x.answer == OtherError ->
#ifdef NO_DOUBT
     if :: led[i].tries >= TRIES -> move(i, Sending, Fail, false) :: else -> move(i, Sending, Retry, false) fi
#else
     if :: led[i].tries >= TRIES -> move(i, Sending, Fail, x.answer == OwnError) :: else -> move(i, Sending, Retry, x.answer == OwnError) fi
#endif
  :: x.answer == Named && NAMES(x, i) -> move(i, Sending, Reject, false)
  :: x.answer == NotSent || (x.answer == Named && !NAMES(x, i)) -> move(i, Sending, Unsent, false)
  fi
}

#ifdef NO_OWNER
#define HOLDS(tok) (true)
#else
#define HOLDS(tok) (claim == tok)
#endif

#ifdef NO_EVIDENCE
#define COUNTS(tok) (claim == tok)
#else
#define COUNTS(tok) (true)
#endif

#ifdef NO_COMPARE
#define FRESH(x, i) (true)
#else
#define FRESH(x, i) (!x.stale[i])
#endif

#ifdef SECONDS
#define LATE_FRESH(i) (led[i].state == lateOld[i].state && led[i].attempts == lateOld[i].attempts && \
                       led[i].tries == lateOld[i].tries && led[i].doubt == lateOld[i].doubt)
#else
#define LATE_FRESH(i) FRESH(late, i)
#endif

/* Act commit. Evidence is decided anew on whatever the record has become. */
#define S_COMMIT(i) \
  if :: s[w].in[i] && s[w].answer == Taken && COUNTS(NOW(w)) -> move(i, led[i].state, Accept, false) \
     :: s[w].in[i] && s[w].answer != Taken && HOLDS(NOW(w)) && FRESH(s[w], i) -> settle(s[w], i) \
     :: else -> skip fi
#define LATE_COMMIT(i) \
  if :: late.in[i] && late.answer == Taken && COUNTS(late.tok) && LATE_FRESH(i) -> move(i, led[i].state, Accept, false) \
     :: late.in[i] && late.answer != Taken && HOLDS(late.tok) && LATE_FRESH(i) -> settle(late, i) \
     :: else -> skip fi
#define IS_HEARD(i) if :: s[w].in[i] && s[w].answer == Taken -> assert(EVIDENCE(led[i].state)) :: else -> skip fi

#define S_TAKE_BACK(i) \
  if :: s[w].in[i] && led[i].state == Sending && HOLDS(NOW(w)) -> move(i, Sending, Unsent, false) :: else -> skip fi

/* ---- a sender's steps ------------------------------------------------- */

#define READ(i)    s[w].todo[i] = (led[i].state == Pending); s[w].stale[i] = false
#define HEARS(i)   if :: s[w].in[i] -> READ(i) :: else -> skip fi   /* a reply tells of its own contacts only */
#define CLEAR(i)   s[w].in[i] = false; s[w].spoken[i] = false
#ifdef GROUP
#define LEAVE(i)   s[w].waits[i] = false;
#define TAKE_UP(i) s[w].in[i] = s[w].waits[i]; s[w].waits[i] = false
#else
#define LEAVE(i)
#endif
#define EMPTY(i)   LEAVE(i) s[w].todo[i] = false; s[w].in[i] = false; s[w].spoken[i] = false; s[w].stale[i] = false
#define TODO(i)    (s[w].todo[i])
#define HOLD_BACK(i) late.in[i] = s[w].in[i]; late.stale[i] = s[w].stale[i]
#define LET_GO(i)  late.in[i] = false; late.stale[i] = false
#define EXCUSE(i)  excuse[i] = true
#ifdef SECONDS
#define OLD_RECORD(i) lateOld[i].state = led[i].state; lateOld[i].attempts = led[i].attempts; \
                      lateOld[i].tries = led[i].tries; lateOld[i].doubt = led[i].doubt
#define OLD_FORGET(i) lateOld[i].state = 0; lateOld[i].attempts = 0; lateOld[i].tries = 0; lateOld[i].doubt = false
#endif

inline holdBack(k) {
  late.kind = k; late.answer = s[w].answer; late.tok = NOW(w); EACH(HOLD_BACK)
}

/* The pass is over: its token is an old one now. */
inline endPass() {
  if :: claim == NOW(w) -> claim = OLD(w) :: else -> skip fi;
  if :: late.tok == NOW(w) -> late.tok = OLD(w) :: else -> skip fi;
  if :: named == NOW(w) -> named = OLD(w) :: else -> skip fi;
  EACH(EMPTY);
  s[w].applied = false; s[w].answer = Nothing; recent[w] = false; s[w].pc = Idle
}

inline giveUp() { if :: claim == NOW(w) -> claim = 0; expired = false :: else -> skip fi; endPass() }

/* The answer is written down. The next request of those that began with it, if any. */
inline answered() {
  EACH(HEARS); EACH(CLEAR); s[w].answer = Nothing;
  if
#ifdef GROUP
  :: WAITING -> EACH(TAKE_UP); s[w].pc = Begun
#endif
  :: !WAITING -> recent[w] = false; s[w].pc = Ready
  fi
}

/* A begin that did not happen, or of which it is not known, is taken back. */
inline takeBack() { EACH(S_TAKE_BACK) }

inline begun() {
  if
  :: res == OK -> s[w].pc = Begun
  :: res == Moved ->
#ifndef NO_MOVED_BACK
     takeBack();
#endif
     EACH(HEARS); EACH(CLEAR); recent[w] = false; s[w].pc = Ready
  :: res == Busy -> giveUp()
  fi;
  s[w].applied = false; res = OK
}

/* Request w is written, and the platform acts on it. */
#define MAY_LEAVE(i) assert(!s[w].in[i] || s[w].spoken[i] || led[i].state == Sending || led[i].state == Unconfirmed || EVIDENCE(led[i].state))
#define COUNT(i) \
  if :: s[w].in[i] && !s[w].stale[i] && led[i].state == Sending && s[w].answer != NotSent && (s[w].answer != Named || NAMES(s[w], i)) -> \
        counted[i] = true; spent[i]++ \
     :: else -> skip fi
#define LEAVES(i) if :: s[w].in[i] -> excuse[i] = true :: else -> skip fi
#define REACH(i) \
  if :: s[w].in[i] -> assert(credit[i] > 0); credit[i]--; reached[i] = true; talks[i] = true :: else -> skip fi
#define SAFE(i) if :: s[w].in[i] -> credit[i]++ :: else -> skip fi   /* its vendor calls it safe to repeat */

inline write(a) {
  EACH(MAY_LEAVE); EACH(LEAVES);
  s[w].answer = a; EACH(COUNT);
  recent[w] = (recent[w] && WAITING); s[w].pc = Answered
}

#ifdef NO_LOOK
#define ALIVE (true)
#define OURS  (true)
#else
#define ALIVE (young[w])
#define OURS  (young[w] && recent[w])
#endif
#ifdef NO_FENCE
#define CANNOT_BEGIN (true)
#else
#define CANNOT_BEGIN (late.kind != Begin || late.tok != NOW(w) || late.fenced)
#endif
#ifdef LIVE
#define ENDS  (!ANY(TODO) || !ALIVE)
#define MAY_REFUSE (faults > 0)  /* what could go on for ever is a fault */
#define REFUSES faults--
#else
#define ENDS  (true)
#define MAY_REFUSE (true)
#define REFUSES skip
#endif

inline ask() {                  /* the next request is decided on */
  recent[w] = true; s[w].pc = Beginning
}

proctype Sender(byte w) {
end: do
  /* a task: recoverClaim has found the claim over, and Pass reads what is pending */
  :: d_step { s[w].pc == Idle && claim == 0 && !ANY(IS_SENDING) && ANY(IS_PENDING) -> EACH(READ); s[w].pc = Ready }

  /* some of those that are pending go into a request */
  :: d_step { s[w].pc == Ready && TODO(0) && ALIVE -> s[w].in[0] = true; ask() }
#if C == 2
  :: d_step { s[w].pc == Ready && TODO(1) && ALIVE -> s[w].in[1] = true; ask() }
  :: d_step { s[w].pc == Ready && TODO(0) && TODO(1) && ALIVE -> s[w].in[0] = true; s[w].in[1] = true; ask() }
#endif

  /* begin */
  :: d_step { s[w].pc == Beginning -> beginNow(); begun() }
  :: d_step { s[w].pc == Beginning && !s[w].applied && faults > 0 ->   /* the reply is lost: go-redis repeats it */
       faults--; beginNow();
       if :: res == OK -> s[w].applied = true :: else -> begun() fi; res = OK }
  :: d_step { s[w].pc == Beginning && faults > 0 -> faults--; beginNow(); res = OK; s[w].applied = false; s[w].pc = Unknown }
  :: d_step { s[w].pc == Beginning && !s[w].applied && faults > 0 && late.kind == None ->
       faults--; holdBack(Begin); s[w].pc = Unknown }
#ifdef SECONDS
  :: d_step { s[w].pc == Beginning && !s[w].applied && faults > 0 && late.kind == None && !ANY(S_STALE) ->  /* once late, once in time */
       faults--; EACH(OLD_RECORD); holdBack(Begin); beginNow(); begun() }
#endif

  /* no reply: once it can no longer begin, it is taken back, and the pass ends */
  :: d_step { s[w].pc == Unknown && CANNOT_BEGIN -> takeBack();
       if :: late.kind == Begin && late.tok == NOW(w) -> late.gaveUp = true :: else -> skip fi;
       giveUp() }
  :: d_step { s[w].pc == Unknown && CANNOT_BEGIN && faults > 0 ->  /* Redis is away for longer than timings.CommitPatience */
       faults--; EACH(EXCUSE); endPass() }

#ifdef GROUP
  /* each has a request of its own, and one is written first */
  :: d_step { s[w].pc == Begun && s[w].in[0] && s[w].in[1] -> s[w].in[1] = false; s[w].waits[1] = true }
  :: d_step { s[w].pc == Begun && s[w].in[0] && s[w].in[1] -> s[w].in[0] = false; s[w].waits[0] = true }
#endif

  /* the request: stillOurs is asked just before it is written */
  :: d_step { s[w].pc == Begun && !OURS -> recent[w] = false; s[w].answer = NotSent; s[w].pc = Answered }
  :: d_step { s[w].pc == Begun && OURS -> write(Taken); EACH(REACH) }
  :: d_step { s[w].pc == Begun && OURS && faults > 0 -> faults--; write(Lost); EACH(REACH) }
  :: d_step { s[w].pc == Begun && OURS && faults > 0 -> faults--; write(Lost) }
#ifndef NO_ERRORS
  :: d_step { s[w].pc == Begun && OURS -> write(OwnError); EACH(REACH); EACH(SAFE) }
  :: d_step { s[w].pc == Begun && OURS -> write(OwnError) }
  :: d_step { s[w].pc == Begun && OURS -> write(OtherError) }
  :: d_step { s[w].pc == Begun && OURS -> write(Named) }
#endif
  :: d_step { s[w].pc == Begun && OURS && MAY_REFUSE -> REFUSES; write(NotSent) }

  /* commit */
  :: d_step { s[w].pc == Answered -> EACH(S_COMMIT); EACH(IS_HEARD);
       if :: claim == NOW(w) -> expired = false :: else -> skip fi;
       answered() }
  :: d_step { s[w].pc == Answered && faults > 0 -> faults--; EACH(S_COMMIT);
       if :: claim == NOW(w) -> expired = false :: else -> skip fi }         /* it will be repeated */
  :: d_step { s[w].pc == Answered && faults > 0 && late.kind == None ->     /* Redis is away for minutes */
       faults--; EACH(EXCUSE); holdBack(Commit); endPass() }
#ifdef SECONDS
  :: d_step { s[w].pc == Answered && faults > 0 && late.kind == None && !ANY(S_STALE) ->  /* once late, once in time */
       faults--; EACH(OLD_RECORD); holdBack(Commit); EACH(S_COMMIT);
       EACH(HEARS); EACH(CLEAR); s[w].answer = Nothing; recent[w] = false; s[w].pc = Ready }
#endif

  /* the pass ends: nothing is left to do, or others wait for their turn */
  :: d_step { s[w].pc == Ready && ENDS -> giveUp() }
  :: d_step { s[w].pc == Ready && faults > 0 -> faults--; EACH(EXCUSE); endPass() }

  :: d_step { s[w].pc != Dead && faults > 0 && (s[1-w].pc != Dead) -> faults--; EACH(EXCUSE); endPass(); s[w].pc = Dead }
  od
}

/* ---- all else --------------------------------------------------------- */

proctype Redis() {              /* carries out what was held back */
end: do
  :: d_step { late.kind == Begin -> beginLate();
       late.kind = None; late.answer = Nothing; late.tok = 0; late.fenced = false; late.gaveUp = false; EACH(LET_GO)
#ifdef SECONDS
       ; EACH(OLD_FORGET)
#endif
     }
  :: d_step { late.kind == Commit -> EACH(LATE_COMMIT);
       if :: claim == late.tok -> expired = false :: else -> skip fi;
       late.kind = None; late.answer = Nothing; late.tok = 0; late.fenced = false; EACH(LET_GO)
#ifdef SECONDS
       ; EACH(OLD_FORGET)
#endif
     }
  od
}

#define LOSE(i) if :: led[i].state == Sending -> move(i, Sending, Lose, false) :: else -> skip fi

#ifdef NO_RECOVERY_FENCE
#define STILL_DEAD (true)
#else
#define STILL_DEAD (!namedLate)
#endif

/* recoverClaim, by the sweeper or a task: the claim is found dead; it is ended; its
 * contacts become unconfirmed. */
proctype Recovery() {
end: do
  :: d_step { named == 0 && claim != 0 && !beats[OWNER(claim)] -> named = claim }
  :: d_step { named != 0 ->
       if
       :: claim == named && STILL_DEAD -> assert(lapsed[OWNER(claim)]);   /* whose claim is ended had no heartbeat just now */
          EACH(EXCUSE); claim = 0; expired = false
       :: else -> skip
       fi;
       named = 0; namedLate = false }
  :: d_step { claim != 0 && expired -> claim = 0; expired = false }
#ifdef NO_CLAIM
  :: d_step { claim != 0 -> claim = 0; expired = false }
#endif
  :: d_step { claim == 0 && ANY(IS_SENDING) -> EACH(LOSE) }
  od
}

/* Heartbeats of w. A living worker misses them by a fault: a freeze, or its connection. */
#define HEART(w) \
  :: d_step { young[w] && s[w].pc == Dead -> young[w] = false } \
  :: d_step { young[w] && s[w].pc != Dead && faults > 0 -> faults--; young[w] = false } \
  :: d_step { !young[w] && beats[w] -> beats[w] = false; lapsed[w] = true } \
  :: d_step { !young[w] && s[w].pc != Dead -> young[w] = true; beats[w] = true } \
  :: d_step { lapsed[w] && beats[w] && (named == 0 || OWNER(named) != w || namedLate) -> lapsed[w] = false } \
  :: d_step { recent[w] && !young[w] -> recent[w] = false } \
  :: d_step { recent[w] && young[w] && faults > 0 -> faults--; recent[w] = false } \
  :: d_step { claim == NOW(w) && !expired && !recent[w] && !young[w] -> EACH(EXCUSE); expired = true } \
  :: d_step { claim == NOW(w) && !expired && !recent[w] && faults > 0 -> faults--; EACH(EXCUSE); expired = true } \
  :: d_step { claim == OLD(w) && !expired -> if :: s[w].pc == Dead -> EACH(EXCUSE) :: else -> skip fi; expired = true }

proctype Clock() {
end: do
  HEART(0)
  HEART(1)
  :: d_step { late.kind == Begin && !late.fenced -> late.fenced = true }
  :: d_step { named != 0 && !namedLate && MAY_REFUSE -> REFUSES; namedLate = true }
  od
}

/* The platform's events and people, contact i. */
#define EVENTS(i) \
  :: d_step { talks[i] && RANK(led[i].state) < 2 -> move(i, led[i].state, Start, false) } \
  :: d_step { talks[i] && RANK(led[i].state) < 3 -> move(i, led[i].state, End, false); talks[i] = false }

/* A person who says "never" is right, and is slower than timings.WriteBy. Nobody reruns
 * a contact whose conversation has ended while a further request with it is under way. */
#define ABOUT_TO(w, i) (s[w].pc == Begun && s[w].in[i] && recent[w])
#define UNDER_WAY(w, i) ((s[w].in[i] || WAITS(w, i)) && (s[w].pc == Begun || s[w].pc == Answered))
#define AGAIN(i) (led[i].state == Rejected || led[i].state == Failed || led[i].state == Unconfirmed || led[i].state == Canceled || \
                  (led[i].state == Ended && !UNDER_WAY(0, i) && !UNDER_WAY(1, i)))

#define SPEAKS(i) s[0].spoken[i] = s[0].in[i]; s[1].spoken[i] = s[1].in[i]
#define ACTS(i) \
  :: d_step { persons > 0 && AGAIN(i) -> \
       persons--; SPEAKS(i); \
       if :: led[i].doubt || led[i].state == Unconfirmed || led[i].state == Ended -> credit[i]++ :: else -> skip fi; \
       if :: led[i].state == Ended -> reached[i] = false; talks[i] = false :: else -> skip fi; \
       move(i, led[i].state, Rerun, false) } \
  :: d_step { persons > 0 && led[i].state == Unconfirmed && reached[i] -> persons--; SPEAKS(i); move(i, Unconfirmed, ConfirmSent, false) } \
  :: d_step { persons > 0 && led[i].state == Unconfirmed && !reached[i] && !ABOUT_TO(0, i) && !ABOUT_TO(1, i) -> \
       persons--; SPEAKS(i); move(i, Unconfirmed, ConfirmNever, false) } \
  :: d_step { persons > 0 && led[i].state == Pending -> persons--; SPEAKS(i); move(i, Pending, Cancel, false) }

proctype World() {
end: do
#ifndef NO_EVENTS
  EVENTS(0)
#if C == 2
  EVENTS(1)
#endif
#endif
#if PERSONS > 0
  ACTS(0)
#if C == 2
  ACTS(1)
#endif
#endif
  :: false
  od
}

#define SET_UP(i) credit[i] = 1

init {
  d_step {
    s[0].pc = Idle; s[1].pc = Idle; s[0].answer = Nothing; s[1].answer = Nothing;
    late.kind = None; late.answer = Nothing;
    young[0] = true; beats[0] = true; young[1] = true; beats[1] = true;
    EACH(SET_UP); tally[Pending] = C
  }
  atomic { run Sender(0); run Sender(1); run Redis(); run Recovery(); run Clock(); run World() }
}

#ifdef LIVE
ltl decided { <>[] (!ANY(IS_OPEN)) }
#endif
