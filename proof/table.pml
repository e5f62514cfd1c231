/* The table of transitions. Generated from campaign.Record.Next: go test ./proof -update */

#define Pending 0
#define Sending 1
#define Accepted 2
#define Rejected 3
#define Failed 4
#define Unconfirmed 5
#define Started 6
#define Ended 7
#define Canceled 8

#define Send 0
#define Unsent 1
#define Retry 2
#define Fail 3
#define Reject 4
#define Lose 5
#define Accept 6
#define Start 7
#define End 8
#define Cancel 9
#define Rerun 10
#define ConfirmSent 11
#define ConfirmNever 12

typedef Record { byte state; byte attempts; byte tries; bool doubt };

/* next moves record r by cause c; d: the move is in doubt. moves says whether it was allowed. */
inline next(r, c, d) {
  moves = true;
  if
  :: c == Send && r.state == Pending -> r.state = Sending; r.attempts++; r.tries++
  :: c == Unsent && r.state == Sending -> r.state = Pending; r.attempts = (r.attempts > 0 -> r.attempts - 1 : 0); r.tries = (r.tries > 0 -> r.tries - 1 : 0)
  :: c == Retry && r.state == Sending -> r.state = Pending; r.doubt = (r.doubt || d)
  :: c == Fail && r.state == Sending -> r.state = Failed; r.doubt = (r.doubt || d)
  :: c == Reject && r.state == Sending -> r.state = Rejected
  :: c == Lose && r.state == Sending -> r.state = Unconfirmed
  :: c == Accept && r.state == Pending && r.attempts > 0 -> r.state = Accepted; r.doubt = false
  :: c == Accept && r.state == Sending && r.attempts > 0 -> r.state = Accepted; r.doubt = false
  :: c == Accept && r.state == Rejected && r.attempts > 0 -> r.state = Accepted; r.doubt = false
  :: c == Accept && r.state == Failed && r.attempts > 0 -> r.state = Accepted; r.doubt = false
  :: c == Accept && r.state == Unconfirmed && r.attempts > 0 -> r.state = Accepted; r.doubt = false
  :: c == Accept && r.state == Canceled && r.attempts > 0 -> r.state = Accepted; r.doubt = false
  :: c == Start && r.state == Pending && r.attempts > 0 -> r.state = Started; r.doubt = false
  :: c == Start && r.state == Sending && r.attempts > 0 -> r.state = Started; r.doubt = false
  :: c == Start && r.state == Accepted && r.attempts > 0 -> r.state = Started; r.doubt = false
  :: c == Start && r.state == Rejected && r.attempts > 0 -> r.state = Started; r.doubt = false
  :: c == Start && r.state == Failed && r.attempts > 0 -> r.state = Started; r.doubt = false
  :: c == Start && r.state == Unconfirmed && r.attempts > 0 -> r.state = Started; r.doubt = false
  :: c == Start && r.state == Canceled && r.attempts > 0 -> r.state = Started; r.doubt = false
  :: c == End && r.state == Pending && r.attempts > 0 -> r.state = Ended; r.doubt = false
  :: c == End && r.state == Sending && r.attempts > 0 -> r.state = Ended; r.doubt = false
  :: c == End && r.state == Accepted && r.attempts > 0 -> r.state = Ended; r.doubt = false
  :: c == End && r.state == Rejected && r.attempts > 0 -> r.state = Ended; r.doubt = false
  :: c == End && r.state == Failed && r.attempts > 0 -> r.state = Ended; r.doubt = false
  :: c == End && r.state == Unconfirmed && r.attempts > 0 -> r.state = Ended; r.doubt = false
  :: c == End && r.state == Started && r.attempts > 0 -> r.state = Ended; r.doubt = false
  :: c == End && r.state == Canceled && r.attempts > 0 -> r.state = Ended; r.doubt = false
  :: c == Cancel && r.state == Pending -> r.state = Canceled
  :: c == Rerun && r.state == Rejected -> r.state = Pending; r.tries = 0
  :: c == Rerun && r.state == Failed -> r.state = Pending; r.tries = 0
  :: c == Rerun && r.state == Unconfirmed -> r.state = Pending; r.tries = 0; r.doubt = true
  :: c == Rerun && r.state == Ended -> r.state = Pending; r.tries = 0
  :: c == Rerun && r.state == Canceled -> r.state = Pending; r.tries = 0
  :: c == ConfirmSent && r.state == Unconfirmed -> r.state = Accepted; r.doubt = false
  :: c == ConfirmNever && r.state == Unconfirmed -> r.state = Pending; r.tries = 0; r.doubt = false
  :: else -> moves = false
  fi
}
