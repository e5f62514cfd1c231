/* One person on the lists of two campaigns, both of which leave out people who were
 * contacted lately: the reservation of the number, the contact record, two ledgers.
 *
 * Key, record and each ledger may lie on a server of their own, so each step below
 * touches one of them. One campaign makes two passes over its one contact, the other
 * one; the second pass begins when the first is over, dead or frozen. A campaign may
 * be paused, resumed, and purged once it is over.
 * docs/proof.md names the function of each step. Each NO_… takes one guard out.
 */
#include "table.pml"

#ifndef FAULTS
#define FAULTS 2
#endif
#define N 3                     /* passes: q is of campaign q % 2 */
#define OF(q) (q % 2)
#define OWNER(q) (q + 1)        /* the value of the key, and the claim, of pass q */

mtype:pc = { Idle, Reserved, Found, Free, Held, Admitted, Unknown, Begun, Answered, Recorded, Written, Over, Dead };
mtype:answer = { Nothing, Taken, Lost, OwnError, NotSent };
mtype:kind = { None, Reserve, GiveBack, Begin };

/* Redis */
byte key;                       /* who has reserved the number: 0, or its owner */
bool record;                    /* the contact record: contacted lately */
Record led[2];
byte claim[2];
bool paused[2]; bool gone[2];

/* passes */
mtype:pc pc[N]; mtype:answer answer[N];
byte seen[N];                   /* whom pass q has found to have the number */
bool fenced[N];                 /* its begin is refused from now on */
bool frozen;                    /* the claim of pass 0 has ended though it lives */
bool own[2];                    /* the ledger says that the record has a request of its own */

/* the one command that a network or a frozen Redis holds back */
mtype:kind late; byte lateOwner, lateOver;

byte recovering[2];             /* 1: the claim has ended; 2: the record is written */
byte faults = FAULTS; byte pauses = 1;

/* ghosts */
bool reached; bool safe; bit by; /* last by a request of campaign by, which its vendor calls safe to repeat */
bool moves;

/* ---- scripts ---------------------------------------------------------- */

#ifdef NO_SWAP
#define MAY_TAKE(o, over) (true)
#else
#define MAY_TAKE(o, over) (key == 0 || key == o || key == over)
#endif

inline giveBackScript(o) {
#ifdef NO_DELETE_OWN
  key = 0
#else
  if :: key == o -> key = 0 :: else -> skip fi
#endif
}

inline begin(c, q) {
  next(led[c], Send, false); claim[c] = OWNER(q)
}

#ifdef NO_FENCE
#define IN_TIME(q) (true)
#else
#define IN_TIME(q) (!fenced[q])
#endif
#define MAY_BEGIN(c, q) (!paused[c] && !gone[c] && led[c].state == Pending && (claim[c] == 0 || claim[c] == OWNER(q)) && IN_TIME(q))

/* store.Standings: what owner o has is still good for something. */
#define STANDS(o) (!gone[OF((o - 1))] && (led[OF((o - 1))].state == Sending || !fenced[(o - 1)]))

inline reach(c, isSafe) {
  assert(!reached || (safe && by == c));   /* nobody twice */
  reached = true; safe = isSafe; by = c
}

/* ---- a pass ----------------------------------------------------------- */

#ifdef NO_RECORD_LATE
#define LOOK_EARLY (!record || own[c])
#define LOOK_LATE  (true)
#else
#define LOOK_EARLY (true)
#define LOOK_LATE  (!record || own[c])
#endif

#ifdef NO_STANDING
#define IS_FREE (true)
#else
#define IS_FREE (!STANDS(seen[q]))
#endif

/* What is told to the contact record: all that reached, or may have. */
#define TELLS(q) (answer[q] == Taken || answer[q] == Lost || answer[q] == OwnError)

inline commit(c, q) {
  if
  :: gone[c] -> skip
  :: !gone[c] && answer[q] == Taken -> next(led[c], Accept, false)
  :: !gone[c] && claim[c] == OWNER(q) && answer[q] == Lost -> next(led[c], Lose, false)
  :: !gone[c] && claim[c] == OWNER(q) && answer[q] == OwnError -> next(led[c], Retry, true); own[c] = true
  :: !gone[c] && claim[c] == OWNER(q) && answer[q] == NotSent -> next(led[c], Unsent, false)
  :: !gone[c] && claim[c] != OWNER(q) && answer[q] != Taken -> skip
  fi;
  if :: claim[c] == OWNER(q) -> claim[c] = 0 :: else -> skip fi;
  moves = false
}

#define DONE(to) seen[q] = 0; answer[q] = Nothing; pc[q] = to

#define NEXT_PASS(q) (q < 2 || pc[0] == Over || pc[0] == Dead || frozen)

proctype Pass(byte q) {
  byte c = OF(q);
end: do
  /* admit: reserve, by store.Reserve */
  :: d_step { pc[q] == Idle && NEXT_PASS(q) && led[c].state == Pending && !paused[c] && LOOK_EARLY -> pc[q] = Reserved }
#ifdef NO_RESERVATION
  :: d_step { pc[q] == Reserved -> pc[q] = Held }
#else
  :: d_step { pc[q] == Reserved -> if :: key == 0 || key == OWNER(q) -> key = OWNER(q); pc[q] = Held :: else -> seen[q] = key; pc[q] = Found fi }
#endif
  :: d_step { pc[q] == Reserved && faults > 0 && late == None -> faults--; late = Reserve; lateOwner = OWNER(q); lateOver = 0; DONE(Written) }
  :: d_step { pc[q] == Found -> if :: IS_FREE -> pc[q] = Free :: else -> DONE(Over) fi }     /* deferred */
  :: d_step { pc[q] == Free && faults > 0 && late == None -> faults--; late = Reserve; lateOwner = OWNER(q); lateOver = seen[q]; DONE(Written) }
  :: d_step { pc[q] == Free -> if :: MAY_TAKE(OWNER(q), seen[q]) -> key = OWNER(q); seen[q] = 0; pc[q] = Held :: else -> DONE(Over) fi }

  /* siftByRecord, holding the number */
  :: d_step { pc[q] == Held -> if :: LOOK_LATE -> pc[q] = Admitted :: else -> DONE(Written) fi }

  /* begin */
  :: d_step { pc[q] == Admitted -> if :: MAY_BEGIN(c, q) -> begin(c, q); pc[q] = Begun :: else -> DONE(Written) fi; moves = false }
  :: d_step { pc[q] == Admitted && faults > 0 -> faults--; if :: MAY_BEGIN(c, q) -> begin(c, q) :: else -> skip fi; moves = false; pc[q] = Unknown }
  :: d_step { pc[q] == Admitted && faults > 0 && late == None -> faults--; late = Begin; lateOwner = OWNER(q); pc[q] = Unknown }
#ifdef NO_FENCE
  :: d_step { pc[q] == Unknown ->
#else
  :: d_step { pc[q] == Unknown && fenced[q] ->
#endif
       if :: claim[c] == OWNER(q) -> next(led[c], Unsent, false); claim[c] = 0 :: else -> skip fi; moves = false; DONE(Written) }

  /* the request */
  :: d_step { pc[q] == Begun -> reach(c, false); answer[q] = Taken; pc[q] = Answered }
  :: d_step { pc[q] == Begun && faults > 0 -> faults--; reach(c, false); answer[q] = Lost; pc[q] = Answered }
  :: d_step { pc[q] == Begun && led[c].tries < 2 -> reach(c, true); answer[q] = OwnError; pc[q] = Answered }
  :: d_step { pc[q] == Begun -> answer[q] = NotSent; pc[q] = Answered }

  /* commit: the record first, then the ledger, then the number */
#if defined(NO_ORDER)
  :: d_step { pc[q] == Answered -> commit(c, q); pc[q] = Recorded }
  :: d_step { pc[q] == Recorded -> if :: TELLS(q) -> record = true :: else -> skip fi; DONE(Written) }
#elif defined(NO_GIVE_BACK_LAST)
  :: d_step { pc[q] == Answered -> giveBackScript(OWNER(q)); pc[q] = Recorded }
  :: d_step { pc[q] == Recorded -> if :: TELLS(q) -> record = true :: else -> skip fi; commit(c, q); DONE(Over) }
#else
  :: d_step { pc[q] == Answered -> if :: TELLS(q) -> record = true :: else -> skip fi; pc[q] = Recorded }
  :: d_step { pc[q] == Recorded -> commit(c, q); DONE(Written) }
#endif
  :: d_step { pc[q] == Answered && faults > 0 -> faults--; DONE(Over) }         /* Redis is away for minutes: the number is kept */

  /* giveBack */
  :: d_step { pc[q] == Written -> giveBackScript(OWNER(q)); pc[q] = Over }
  :: d_step { pc[q] == Written && faults > 0 && late == None -> faults--; late = GiveBack; lateOwner = OWNER(q); pc[q] = Over }
  :: d_step { pc[q] == Written && faults > 0 && late == None -> faults--; late = GiveBack; lateOwner = OWNER(q); giveBackScript(OWNER(q)); pc[q] = Over }

  :: d_step { pc[q] != Idle && pc[q] != Over && pc[q] != Dead && faults > 0 -> faults--; DONE(Dead) }
  od
}

/* ---- all else --------------------------------------------------------- */

#define LATE_Q (lateOwner - 1)
#define LATE_DONE late = None; lateOwner = 0; lateOver = 0

proctype Redis() {
end: do
  :: d_step { late == Reserve -> if :: MAY_TAKE(lateOwner, lateOver) -> key = lateOwner :: else -> skip fi; LATE_DONE }
  :: d_step { late == GiveBack -> giveBackScript(lateOwner); LATE_DONE }
  :: d_step { late == Begin -> if :: MAY_BEGIN(OF(LATE_Q), LATE_Q) -> begin(OF(LATE_Q), LATE_Q) :: else -> skip fi; moves = false; LATE_DONE }
  od
}

/* A claim ends because its sender is dead or has none; a living one is frozen first. */
#define CAMPAIGN(c) \
  :: d_step { claim[c] != 0 && (pc[claim[c]-1] == Dead || pc[claim[c]-1] == Over) -> claim[c] = 0 } \
  :: d_step { claim[c] != 0 && faults > 0 -> faults--; if :: claim[c] == 1 -> frozen = true :: else -> skip fi; claim[c] = 0 } \
  :: d_step { claim[c] == 0 && led[c].state == Sending && recovering[c] == 0 -> FIRST(c); recovering[c] = 1 } \
  :: d_step { recovering[c] == 1 -> SECOND(c); recovering[c] = 0 } \
  :: d_step { pauses > 0 && !paused[c] -> pauses--; paused[c] = true } \
  :: d_step { paused[c] -> paused[c] = false } \
  :: d_step { led[c].state != Pending && led[c].state != Sending && !gone[c] -> gone[c] = true } \
  :: d_step { pc[c] != Idle && !fenced[c] -> fenced[c] = true }

#define LOSE(c) if :: claim[c] == 0 && led[c].state == Sending -> next(led[c], Lose, false); moves = false :: else -> skip fi
#ifdef NO_ORDER_RECOVERY
#define FIRST(c)  LOSE(c)
#define SECOND(c) record = true
#else
#define FIRST(c)  record = true
#define SECOND(c) LOSE(c)
#endif

proctype World() {
end: do
  CAMPAIGN(0)
  CAMPAIGN(1)
  :: d_step { pc[2] != Idle && !fenced[2] -> fenced[2] = true }
  od
}

init {
  atomic {
    byte q = 0;
    do :: q < N -> pc[q] = Idle; answer[q] = Nothing; q++ :: q == N -> break od;
    late = None; q = 0;
    run Pass(0); run Pass(1); run Pass(2); run Redis(); run World()
  }
}
