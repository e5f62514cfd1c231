/* Losses of Redis's last writes: restarts without the end of its log, or failovers to a
 * replica that lagged.
 *
 * One contact. disk is what is there after a loss; it follows the writes in order,
 * at any distance. Each worker remembers the newest version of the chunk that it has
 * seen, and how many requests had begun. When it meets less of either it halts the
 * campaign, and raises both to what it remembers: a loss takes both back or none. A person
 * then looks, and resumes. With -DONE events about others change the chunk. docs/proof.md
 * names the function of each step.
 *
 * Two workers rely on begins that are on disk before their request leaves: replicas
 * are waited for, or appendfsync is always. -DONE: one worker, which outlives the loss,
 * has its memory alone. Each NO_… takes one guard out.
 */
#include "table.pml"

#define LOSSES 2

#ifdef ONE
#define N 1
#define NO_WAIT
#else
#define N 2
#endif

mtype:pc = { Idle, Read, Beginning, Unknown, Begun, Answered, Dead };

Record led; byte version; byte requests; byte claim; bool halted;              /* in Redis */
Record disk; byte diskVersion; byte diskRequests; byte diskClaim; bool diskHalted; /* what a loss leaves of it */
bool behind;                                   /* the disk does not have all */
byte losses;
byte changes = 12;                             /* bound on writes */

mtype:pc pc[N];
byte seen[N]; byte begun[N];                   /* versions: what it has seen between two tasks */
byte mine[N]; byte asked[N];                   /* the version of the chunk at hand, and its requests */
byte tried[N];                                 /* attempts in the record that it has read */
byte since[N];                                 /* losses before its begin */

bool reached; bool looked; bool moves;         /* ghosts: looked: a person has, since then */

#define OWNER(w) (w + 1)

inline write() { version++; changes--; behind = true }
inline set(a, b) { a.state = b.state; a.attempts = b.attempts; a.tries = b.tries; a.doubt = b.doubt }

#ifdef NO_HALT
#define IS_OLDER(w) (false)
#else
#ifdef NO_REQUESTS
#define IS_OLDER(w) (seen[w] > version)
#else
#define IS_OLDER(w) (seen[w] > version || begun[w] > requests)
#endif
#endif
#ifdef NO_WAIT
#define IS_SAFE(w) (true)
#else
#define IS_SAFE(w) (!behind && since[w] == losses)   /* else the connection has broken */
#endif

inline drop() { mine[w] = 0; asked[w] = 0; tried[w] = 0; since[w] = 0 }
#ifdef NO_MEMORY
inline halt(w) { halted = true; behind = true; seen[w] = 0; begun[w] = 0 }
#else
inline halt(w) {
  halted = true; write();
  if :: seen[w] >= version -> version = seen[w] + 1 :: else -> skip fi;
  if :: begun[w] > requests -> requests = begun[w] :: else -> skip fi
}
#endif
inline over() { seen[w] = mine[w]; begun[w] = asked[w]; drop(); pc[w] = Idle }   /* versions.keep */

proctype Worker(byte w) {
end: do
  /* runner.run */
  :: d_step { pc[w] == Idle && !halted && led.state == Pending && changes > 3 ->
       if
       :: IS_OLDER(w) -> halt(w)
       :: else -> mine[w] = version; asked[w] = requests; tried[w] = led.attempts; pc[w] = Read
       fi }
  /* begin */
  :: d_step { pc[w] == Read && changes > 3 ->
       if
       :: !halted && led.state == Pending && led.attempts == tried[w] && (claim == 0 || claim == OWNER(w)) ->
          next(led, Send, false); moves = false; claim = OWNER(w); write(); requests++; mine[w]++; asked[w]++; since[w] = losses; pc[w] = Beginning
       :: else -> over()
       fi }
  :: d_step { pc[w] == Beginning && IS_SAFE(w) -> pc[w] = Begun }
#ifndef NO_WAIT
  :: d_step { pc[w] == Beginning -> pc[w] = Unknown }                   /* too few replicas have it in time */
#endif
  :: d_step { pc[w] == Unknown && changes > 0 ->
       if
       :: claim == OWNER(w) && led.state == Sending -> next(led, Unsent, false); moves = false; claim = 0; write(); mine[w]++
       :: else -> skip
       fi;
       over() }
  /* the request */
  :: d_step { pc[w] == Begun -> assert(!reached || looked); reached = true; looked = false; pc[w] = Answered }
  /* commit */
  :: d_step { pc[w] == Answered && changes > 0 ->
       next(led, Accept, false);
       if :: moves -> write(); mine[w]++ :: else -> skip fi;
       moves = false;
       if :: claim == OWNER(w) -> claim = 0 :: else -> skip fi;
       over() }
#ifndef ONE
  :: d_step { pc[w] != Idle && pc[w] != Dead && pc[1-w] != Dead -> drop(); pc[w] = Dead }
#endif
  od
}

proctype World() {
end: do
  :: d_step { behind -> set(disk, led); diskVersion = version; diskRequests = requests; diskClaim = claim; diskHalted = halted; behind = false }
  :: d_step { losses < LOSSES -> losses++; set(led, disk); version = diskVersion; requests = diskRequests; claim = diskClaim; halted = diskHalted; behind = false }
  :: d_step { claim != 0 && (pc[claim-1] == Idle || pc[claim-1] == Dead) -> claim = 0 }
  :: d_step { claim == 0 && led.state == Sending && changes > 0 -> next(led, Lose, false); moves = false; write() }
  :: d_step { halted -> halted = false; behind = true; looked = true }
#ifdef ONE
  :: d_step { changes > 3 -> write() }                                  /* an event about another contact */
#endif
  od
}

init {
  atomic {
    pc[0] = Idle; run Worker(0);
#ifndef ONE
    pc[1] = Idle; run Worker(1);
#endif
    run World()
  }
}
